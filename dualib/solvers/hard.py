r"""Hard clusterings of x: deterministic, agglomerative and sequential information bottleneck.

A hard clustering t(x) has I(X;T) = H(T). Three classical searches, none of which proves anything:

* deterministic IB ([strouse2017]_ eqs. 12-14): each x goes to the cluster of largest log q(t) − β D(p_x ‖ p(y|t)), until none moves;
* agglomerative IB ([slonim2000]_): from T = X down, merge the two clusters that lose the least information, which is
  (p_i + p_j) JS of their p(y|t);
* sequential IB ([slonim2002]_): with the number of clusters fixed, take one x out at a time and put it where the least is lost.

All x with equal p(y|x) count as one: to tell them apart costs rate and gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import positive, whole
from dualib.core.result import Result
from dualib.core.special import entropy_nats, kl_nats
from dualib.core.typing import Float, FloatArray, Int, IntArray
from dualib.core.units import Units, to_units
from dualib.joint import Joint

if TYPE_CHECKING:
    import pandas as pd

LARGEST_AGGLOMERATION = 4000  # distinct rows: their table of pairs is 128 MB
MAX_SWEEPS = 1000
BLOCK = 1 << 22  # (x, t, y) whose divergences are computed at once


@dataclass(frozen=True, eq=False)
class HardClusterings(Result):
    """Hard clusterings of one joint; informations in nats.

    Attributes
    ----------
    labels : array of int, shape (n, n_x)
        The cluster of every x, numbered from 0 in the order of their first x.
    n_clusters : array of int, shape (n,)
    rate : array, shape (n,)
        I(X;T) = H(T).
    relevance : array, shape (n,)
        I(T;Y).
    method : str
        How they were found.
    exact : bool
        Whether no hard clustering of this joint lies above any of them, by enumeration of all.
    cut_short : bool
        Whether a search stopped at a limit, of sweeps or of clusters, before it had come to its end; `method` says which.

    Examples
    --------
    >>> from dualib import Joint
    >>> found = agglomerative_ib(Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]]))
    >>> found.n_clusters, found.relevance.round(4)  # nats
    (array([4, 3, 2, 1]), array([0.1567, 0.1562, 0.154 , 0.    ]))
    """

    labels: Int[np.ndarray, "n n_x"]
    n_clusters: Int[np.ndarray, " n"]
    rate: Float[np.ndarray, " n"]
    relevance: Float[np.ndarray, " n"]
    method: str
    exact: bool = False
    cut_short: bool = False

    def __len__(self) -> int:
        return len(self.rate)

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a clustering; the unit is part of the column's name."""
        import pandas as pd

        information = {f"{name}_{units}": to_units(getattr(self, name), units) for name in ("rate", "relevance")}
        return pd.DataFrame({"n_clusters": self.n_clusters, **information})


def clusterings(
    joint: Joint, labels: IntArray, method: str, exact: bool = False, cut_short: bool = False
) -> HardClusterings:
    """The clusterings with labels (n, n_x) of a joint, renumbered, with their informations."""
    tables = []
    numbered = np.empty_like(labels)
    for i, row in enumerate(labels):
        _, first, inverse = np.unique(row, return_index=True, return_inverse=True)
        numbered[i] = np.argsort(np.argsort(first))[inverse]
        tables.append(_summed(joint.p_xy, numbered[i]))
    weights = [table.sum(axis=1) for table in tables]
    rate = np.array([float(entropy_nats(w)) for w in weights])
    relevance = np.array([_relevance(table, joint.p_y) for table in tables])
    return HardClusterings(numbered, np.array([len(w) for w in weights]), rate, relevance, method, exact, cut_short)


def deterministic_ib(joint: Joint, beta: float, *, n_clusters: int | None = None, seed: int = 0) -> HardClusterings:
    r"""A local minimum of H(T) − β I(T;Y) over hard clusterings.

    Parameters
    ----------
    joint : Joint
    beta : float
        Trade-off, positive.
    n_clusters : int or None
        Number of clusters of a random start; None starts from T = X.
    seed : int
        Seed of the random start.

    Returns
    -------
    HardClusterings
        It holds one clustering.

    References
    ----------
    [strouse2017]_

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> deterministic_ib(joint, beta=20.0, n_clusters=2).labels
    array([[0, 0, 1, 1]])
    """
    beta = positive(beta, "beta")
    merged = joint.merge_equal_rows()
    core = merged.joint
    n = core.n_x
    if n_clusters is None:
        labels = np.arange(n)
    else:
        labels = np.random.default_rng(seed).integers(0, whole(n_clusters, "n_clusters", 1), n)
    blocks = np.array_split(np.arange(n), -(-n * n * core.n_y // BLOCK))
    for _ in range(MAX_SWEEPS):
        labels = np.unique(labels, return_inverse=True)[1]
        table = _summed(core.p_xy, labels)
        weights = table.sum(axis=1)
        new = np.concatenate([_best_moves(core, table, weights, labels, beta, block) for block in blocks])
        if (new == labels).all():
            cut_short = False
            break
        labels = new
    else:
        cut_short = True
    method = f"deterministic IB at β = {beta:g}{_stopped(cut_short)}"
    return clusterings(joint, _expanded(merged.index, labels[None]), method, cut_short=cut_short)


def _best_moves(
    core: Joint, table: FloatArray, weights: FloatArray, labels: IntArray, beta: float, rows: IntArray
) -> IntArray:
    """The best cluster of some rows, given p(t, y) and p(t) of all."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.log(weights) - beta * kl_nats(core.p_y_given_x[rows, None], (table / weights[:, None])[None])
    best, here = gain.argmax(axis=1), np.arange(len(rows))
    stays = gain[here, best] <= gain[here, labels[rows]] + 1e-12  # ties stay: no endless exchange
    return np.where(stays, labels[rows], best)


def _stopped(cut_short: bool) -> str:
    return f", stopped after {MAX_SWEEPS} sweeps" if cut_short else ""


def agglomerative_ib(joint: Joint) -> HardClusterings:
    """The clusterings met on the way from T = X to one cluster, merging the cheapest pair each time.

    Raises
    ------
    ValueError
        If the joint has more than 4000 distinct rows.

    References
    ----------
    [slonim2000]_

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> agglomerative_ib(joint).labels  # from four clusters down to one
    array([[0, 1, 2, 3],
           [0, 1, 2, 2],
           [0, 0, 1, 1],
           [0, 0, 0, 0]])
    """
    merged = joint.merge_equal_rows()
    core = merged.joint
    n = core.n_x
    if n > LARGEST_AGGLOMERATION:
        raise ValueError(
            f"the joint has {n} distinct rows p(y|x); the table of pairs is kept up to {LARGEST_AGGLOMERATION}: bin x, or use "
            "sequential_ib"
        )
    table, labels = core.p_xy.copy(), np.arange(n)
    cost = np.full((n, n), np.inf)
    for i in range(n - 1):
        cost[i, i + 1 :] = _merge_cost(table[i], table[i + 1 :])
    alive, met = np.ones(n, bool), [labels]
    for _ in range(n - 1):
        i, j = divmod(int(cost.argmin()), n)
        table[i] += table[j]
        alive[j] = False
        cost[j], cost[:, j] = np.inf, np.inf
        others = np.flatnonzero(alive & (np.arange(n) != i))
        new = _merge_cost(table[i], table[others])
        cost[np.minimum(i, others), np.maximum(i, others)] = new
        labels = np.where(labels == j, i, labels)
        met.append(labels)
    return clusterings(joint, _expanded(merged.index, np.array(met)), "agglomerative IB")


def sequential_ib(joint: Joint, n_clusters: int, *, restarts: int = 10, seed: int = 0) -> HardClusterings:
    """The best of several local maxima of I(T;Y) with a given number of clusters, by moving one x at a time.

    Parameters
    ----------
    joint : Joint
    n_clusters : int
        At most the number of distinct rows.
    restarts : int
        Number of random starts.
    seed : int
        Seed of the starts.

    Returns
    -------
    HardClusterings
        It holds one clustering.

    Raises
    ------
    ValueError
        If n_clusters is below 1 or above the number of distinct rows.

    References
    ----------
    [slonim2002]_

    Examples
    --------
    >>> from dualib import Joint
    >>> joint = Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    >>> sequential_ib(joint, n_clusters=2).labels
    array([[0, 0, 1, 1]])
    """
    merged = joint.merge_equal_rows()
    core = merged.joint
    k = whole(n_clusters, "n_clusters", 1)
    if k > core.n_x:
        raise ValueError(f"n_clusters = {k} is more than the {core.n_x} distinct rows of the joint")
    rng = np.random.default_rng(seed)
    best, most, cut_short = np.zeros(core.n_x, int), -np.inf, False
    for _ in range(whole(restarts, "restarts", 1)):
        labels, stands_still = _one_sequential_run(core, k, rng)
        cut_short |= not stands_still
        relevance = _relevance(_summed(core.p_xy, labels), core.p_y)
        if relevance > most:
            best, most = labels, relevance
    method = f"sequential IB, {k} clusters{_stopped(cut_short)}"
    return clusterings(joint, _expanded(merged.index, best[None]), method, cut_short=cut_short)


def _one_sequential_run(core: Joint, k: int, rng: np.random.Generator) -> tuple[IntArray, bool]:
    """Labels, and whether no x wants to move any more."""
    labels = rng.permutation(np.arange(core.n_x) % k)
    table = _summed(core.p_xy, labels, k)
    for _ in range(MAX_SWEEPS):
        moved = 0
        for x in rng.permutation(core.n_x):
            old = labels[x]
            if (labels == old).sum() == 1:  # the number of clusters stays
                continue
            table[old] = np.maximum(table[old] - core.p_xy[x], 0.0)
            cost = _merge_cost(core.p_xy[x], table)
            new = int(cost.argmin()) if cost.min() < cost[old] - 1e-14 else int(old)
            labels[x] = new
            table[new] += core.p_xy[x]
            moved += new != old
        if not moved:
            return labels, True
    return labels, False


def _merge_cost(one: FloatArray, others: FloatArray) -> FloatArray:
    """(p_i + p_j) JS of the rows p(y|t): what I(T;Y) loses when tables `one` (n_y,) and each of `others` merge; nats."""
    both = one + others
    parts = [
        kl_nats(part, both) - part.sum(axis=-1) * _log_share(part, both)
        for part in (np.broadcast_to(one, both.shape), others)
    ]
    cost: FloatArray = np.maximum(parts[0] + parts[1], 0.0)
    return cost


def _log_share(part: FloatArray, both: FloatArray) -> FloatArray:
    weight, whole_weight = part.sum(axis=-1), both.sum(axis=-1)
    share: FloatArray = np.log(np.where(weight > 0, weight, 1.0) / np.where(weight > 0, whole_weight, 1.0))
    return share


def _summed(p_xy: FloatArray, labels: IntArray, n: int | None = None) -> FloatArray:
    """p(t, y), shape (n_t, n_y)."""
    table = np.zeros((n or int(labels.max()) + 1, p_xy.shape[1]))
    np.add.at(table, labels, p_xy)
    return table


def _relevance(table: FloatArray, p_y: FloatArray) -> float:
    weights = table.sum(axis=1)
    used = weights > 0
    return max(0.0, float(weights[used] @ kl_nats(table[used] / weights[used, None], p_y)))


def _expanded(index: IntArray, labels: IntArray) -> IntArray:
    """Labels of merged rows (n, n_rows) as labels of every x (n, n_x)."""
    return np.asarray(labels)[:, index]
