r"""The front of hard clusterings: for every rate H(T) the most relevance I(T;Y).

Up to :data:`ENUMERATED` distinct rows p(y|x) all partitions are enumerated, and the front is exact ([tan2022]_ trace it for
binary y). Beyond, it is what agglomerative, sequential and deterministic IB find, and it says so.
"""

from __future__ import annotations

import numpy as np

from dualib.core.typing import FloatArray, IntArray
from dualib.joint import Joint
from dualib.solvers.hard import (
    LARGEST_AGGLOMERATION,
    MAX_SWEEPS,
    HardClusterings,
    agglomerative_ib,
    clusterings,
    deterministic_ib,
    sequential_ib,
)

ENUMERATED = 12  # distinct rows: 4 213 597 partitions, some seconds and 0.5 GB
SEQUENTIAL = 64  # clusters up to which the sequential search runs, one number after the other
EQUAL = 1e-12  # nats: points nearer than that count as one


def hard_front(joint: Joint, *, betas: FloatArray | None = None, seed: int = 0) -> HardClusterings:
    """Find the hard clusterings that no other one known beats in both rate and relevance, by ascending rate.

    Parameters
    ----------
    joint : Joint
    betas : array or None
        The β at which deterministic IB is run beyond the enumerable size; None takes 20, from 1 to 1000.
    seed : int
        Seed of the random starts beyond the enumerable size.

    Returns
    -------
    HardClusterings
        ``exact`` says whether all partitions were enumerated, ``cut_short`` whether a limit was reached: of sweeps, of
        64 clusters of the sequential search, or of 4000 rows of the agglomerative one (`method` says which).

    References
    ----------
    [tan2022]_, [strouse2017]_

    Examples
    --------
    >>> from dualib import Joint, hard_front
    >>> hard_front(Joint([[0.4, 0.1], [0.1, 0.4]])).to_frame(units="bits").round(3)
       n_clusters  rate_bits  relevance_bits
    0           1        0.0           0.000
    1           2        1.0           0.278
    """
    merged = joint.merge_equal_rows()
    if merged.joint.n_x <= ENUMERATED:
        labels = pareto_partitions(merged.joint)[:, merged.index]
        return clusterings(joint, labels, "all partitions of the distinct rows", exact=True)
    n = merged.joint.n_x
    found = [sequential_ib(joint, k, seed=seed) for k in range(1, min(n, SEQUENTIAL) + 1)]
    found += [deterministic_ib(joint, float(b)) for b in (np.geomspace(1, 1000, 20) if betas is None else betas)]
    limits = [f"sequential up to {SEQUENTIAL} clusters"] if n > SEQUENTIAL else []
    limits += [f"a search stopped after {MAX_SWEEPS} sweeps"] if any(f.cut_short for f in found) else []
    method = "sequential and deterministic IB"
    if n <= LARGEST_AGGLOMERATION:
        found.append(agglomerative_ib(joint))
        method = "agglomerative, " + method
    else:
        limits.append(f"no agglomeration of more than {LARGEST_AGGLOMERATION} rows")
    labels = np.concatenate([f.labels for f in found])
    rate, relevance = (np.concatenate([getattr(f, name) for f in found]) for name in ("rate", "relevance"))
    method = "; ".join([method + ": the best found, no proof", *limits])
    return clusterings(joint, labels[pareto(rate, relevance)], method, cut_short=bool(limits))


def pareto(rate: FloatArray, relevance: FloatArray) -> IntArray:
    """Indices of the points with more relevance than every point of no more rate, by ascending rate."""
    order = np.lexsort((-relevance, rate))
    before = np.r_[-np.inf, np.maximum.accumulate(relevance[order])[:-1]]
    kept: IntArray = order[relevance[order] > before + EQUAL]
    return kept


def pareto_partitions(joint: Joint) -> IntArray:
    """Labels (n, n_x) of the front of all partitions of x.

    Rate and relevance are sums over the clusters of a function of each, so that a partition costs n_x look-ups.
    """
    n = joint.n_x
    if n > ENUMERATED:
        raise ValueError(f"{n} rows have too many partitions to enumerate; up to {ENUMERATED} are")
    rate_of, relevance_of = _of_clusters(joint)
    # Every row of `clusters` is a partition of the first rows of the joint, its clusters as bit masks, 0 for none.
    clusters, used = np.zeros((1, n), np.uint16), np.zeros(1, np.int64)
    for x in range(n):
        children = np.repeat(np.arange(len(used)), used + 1)
        place = np.arange(len(children)) - np.repeat(np.cumsum(used + 1) - (used + 1), used + 1)
        clusters = clusters[children]
        clusters[np.arange(len(children)), place] |= np.uint16(1 << x)
        used = np.maximum(used[children], place + 1)
    rate, relevance = np.zeros(len(clusters)), np.zeros(len(clusters))
    for column in clusters.T:
        rate += rate_of[column]
        relevance += relevance_of[column]
    best = clusters[pareto(rate, relevance)].astype(np.int64)
    member = (best[:, :, None] >> np.arange(n)) & 1
    return np.asarray(member.argmax(axis=1))


def _of_clusters(joint: Joint) -> tuple[FloatArray, FloatArray]:
    """What every set of x, as a bit mask, adds to H(T) and to I(T;Y), nats."""
    masks = np.arange(1 << joint.n_x)
    member = (masks[:, None] >> np.arange(joint.n_x)) & 1
    table = member @ joint.p_xy
    weight = table.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(weight > 0, -weight * np.log(weight), 0.0)
        log_ratio = np.log(table / (weight[:, None] * joint.p_y))
        relevance = np.where(table > 0, table * log_ratio, 0.0).sum(axis=1)
    return rate, relevance
