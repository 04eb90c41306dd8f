"""One interval from the repetitions of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dualib.core.estimate import Estimate


def pooled(estimates: Sequence[Estimate]) -> Estimate:
    r"""The estimate from all seeds' repetitions together.

    .. math:: v = \sum_i w_i v_i, \qquad v - \sqrt{\textstyle\sum_i w_i^2 (v_i - l_i)^2}
              \ \le\ \cdot\ \le\ v + \sqrt{\textstyle\sum_i w_i^2 (h_i - v_i)^2}, \qquad w_i = n_i / \sum_j n_j

    These are the limits for a sum of independent estimates that are recovered from each one's own limits ([zou2008]_),
    which serves intervals that are not symmetric as well. They cover at least as often as the intervals of the seeds.

    Parameters
    ----------
    estimates : sequence of Estimate
        Estimates of one quantity and unit, one a seed; independent of each other.
    """
    if len(estimates) == 1:
        return estimates[0]
    n = np.array([e.n for e in estimates])
    w = n / n.sum()
    value, low, high = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "low", "high"))
    middle = float(w @ value)
    down, up = (float(np.sqrt(np.sum((w * gap) ** 2))) for gap in (value - low, high - value))
    warnings = tuple(dict.fromkeys(text for e in estimates for text in e.warnings))
    return replace(
        estimates[0],
        value=middle,
        low=middle - down,
        high=middle + up,
        n=int(n.sum()),
        warnings=warnings,
        std_error=0.0,
    )
