"""Tables of counts drawn from a sample, and the curve of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.core.arrays import group_rows
from dualib.core.typing import FloatArray, IntArray
from dualib.curves.build import information_curve
from dualib.curves.curve import InformationCurve
from dualib.joint import Joint

MakeProblem = Callable[[Joint], Bottleneck]


def deal(counts: IntArray, n_folds: int, rng: np.random.Generator) -> list[IntArray]:
    """Counts of n_folds parts, equal in size to one sample, drawn without replacement (multivariate hypergeometric)."""
    left, parts = counts.ravel(), []
    for remaining in range(n_folds, 1, -1):
        part = rng.multivariate_hypergeometric(left, int(left.sum()) // remaining, method="marginals")
        parts.append(part)
        left = left - part
    return [part.reshape(counts.shape) for part in (*parts, left)]


def curve_of_counts(table: IntArray, make_problem: MakeProblem, grid: FloatArray, what: str) -> InformationCurve | None:
    """The curve of a table of counts without its empty rows and columns; None where it holds no information at all."""
    seen = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(seen.shape) < 2:
        return None
    joint = Joint.from_counts(seen)
    try:
        problem = make_problem(joint)
    except ValueError as error:
        raise ValueError(
            f"make_problem refuses {what}, where symbols or pairs of the sample may be missing: {error}. Smooth inside "
            "make_problem, for example lambda j: DualIB(j.smoothed(pseudocount=0.5))"
        ) from error
    if len(group_rows(problem.p_y_given_x, 1e-12)[0]) == 1:  # X and Y independent: one cluster, F = 0
        return None
    return information_curve(problem, grid, certify=False, progress=False)


def counts_of(joint: Joint) -> IntArray:
    """The whole numbers behind a sampled joint; a ValueError for one that is exact or was smoothed."""
    if joint.n_samples is None:
        raise ValueError("the joint is exact (n_samples is None); make it with Joint.from_samples or Joint.from_counts")
    counts = joint.p_xy * joint.n_samples
    whole = np.rint(counts)
    if np.abs(counts - whole).max() > 1e-6:
        raise ValueError(
            "the joint's counts are not whole numbers (smoothed?); pass the joint as sampled and smooth in make_problem"
        )
    return whole.astype(int)
