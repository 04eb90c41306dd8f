"""What a curve will take: bytes and seconds, estimated from the sizes before any work is done."""

from __future__ import annotations

from dataclasses import dataclass

from dualib.bottleneck import Bottleneck
from dualib.core.arrays import whole
from dualib.solvers.atoms import most_clusters
from dualib.solvers.parts import LARGE_PAIRS, MOST_SYMBOLS

EVALUATIONS = (
    60  # of all pairs of cluster and x at one β, passes over them counted: between 10 and 200 on random joints
)
PAIR_SECONDS = 2.5e-9  # one pair in such a pass, and
SYMBOL_SECONDS = 0.1e-9  # for each symbol y more; measured on one core of 2026
TABLES = 2.5  # of all pairs of cluster and x held at once: two in double precision and one in single
PAIR_BYTES = 1.0  # of each pair beyond those of which there is a table: few of them are kept
JOINTS = 12  # tables of the size of the joint


@dataclass(frozen=True)
class Cost:
    """What solving is expected to take, as an order of magnitude.

    Attributes
    ----------
    n_x, n_y, n_betas : int
        Distinct rows p(y|x), symbols and β.
    clusters : int
        The most clusters that were reckoned with: every distinct row its own, or as many as fit.
    bytes : float
        Of memory, at the peak.
    seconds : float
        Of one core, for all β, without proofs. Few clusters take less: it is proportional to them.
    """

    n_x: int
    n_y: int
    n_betas: int
    clusters: int
    bytes: float
    seconds: float

    def describe(self) -> str:
        """A sentence of sizes, time and memory."""
        hours, rest = divmod(self.seconds, 3600.0)
        time = f"{hours:.0f} h {rest / 60:.0f} min" if hours else f"{max(rest, 1.0):.0f} s"
        return (
            f"{self.n_x} distinct rows, {self.n_y} symbols, {self.n_betas} β and up to {self.clusters} clusters: "
            f"some {time} on one core, without proofs, and {self.bytes / 2**30:.2g} GiB"
        )


def expected_cost(problem: Bottleneck, n_betas: int = 1) -> Cost:
    """Estimate the time and memory of solving a problem at some β.

    Parameters
    ----------
    problem : Bottleneck
    n_betas : int
        Number of β, at least 1.

    Returns
    -------
    Cost
        An order of magnitude; the clusters of the optimum are not known before.
    """
    whole(n_betas, "n_betas", 1)
    n_x, n_y = problem.merged.joint.p_xy.shape
    clusters = max(1, min(n_x, most_clusters(n_x, n_y)))
    pairs = float(clusters) * n_x
    kept = min(pairs, LARGE_PAIRS) if n_y <= MOST_SYMBOLS else pairs
    seconds = n_betas * EVALUATIONS * pairs * (PAIR_SECONDS + SYMBOL_SECONDS * n_y)
    in_tables = 8.0 * (TABLES * kept + JOINTS * float(n_x) * n_y)
    return Cost(n_x, n_y, n_betas, clusters, in_tables + PAIR_BYTES * (pairs - kept), seconds)
