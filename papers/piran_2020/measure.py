"""The numbers that claims.toml judges."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import mean, share
from dualib.core.units import Unit
from papers.experiments.program import Arrays, Results

PROBLEMS = ("ib", "dual")


def _proven(value: float, low: float, high: float, n: int = 1) -> Estimate:
    """A pure number between proven bounds."""
    return Estimate(float(value), float(low), float(high), Kind.PROVEN, Unit.ONE, n=n)


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    return (
        _curves(results["curves"])
        | _random_joints(results["random_joints"])
        | _iteration(results["iteration"])
        | _family(results["family"])
        | _samples(results["samples"])
    )


def _curves(r: Arrays) -> dict[str, Estimate]:
    largest = int(r["gap"].argmax())
    gap, mutual_information = float(r["gap"][largest]), float(r["mutual_information"])
    ib, dual = r["ib_transitions"], r["dual_transitions"]
    k = min(len(ib), len(dual))
    latest = int((dual[:k, 1] / ib[:k, 1]).argmax())
    ratio = [dual[latest, i] / ib[latest, 2 - i] for i in (0, 1, 2)]
    found = {
        "gap_largest": Estimate.exact(gap, Unit.NATS),
        "gap_smallest": Estimate.exact(float(r["gap"].min()), Unit.NATS),
        "gap_relative": Estimate.exact(gap / mutual_information, Unit.ONE),
        "gap_rate": Estimate.exact(float(r["gap_rate"][largest]), Unit.NATS),
        "proven_gap_largest": Estimate.exact(
            float(max(r["ib_proven_gap"].max(), r["dual_proven_gap"].max())), Unit.NATS
        ),
        "transition_ratio_largest": _proven(ratio[1], ratio[0], ratio[2]),
        "transitions_compared": Estimate.exact(k, Unit.ONE),
    }
    for name, brackets in (("ib", ib), ("dual", dual)):
        for i, (low, beta, high) in enumerate(brackets[:3], 1):
            found[f"{name}_transition_{i}"] = _proven(beta, min(low, beta), max(high, beta))
    return found


def _random_joints(r: Arrays) -> dict[str, Estimate]:
    """How often the first transition of the dual is proven to come later than that of IB, and by what factor at most."""
    (ib_low, ib_high), (dual_low, dual_high) = r["ib"].T, r["dual"].T
    low, high = dual_low / ib_high, dual_high / ib_low
    latest = int(low.argmax())
    middle = float(np.sqrt(low[latest] * high[latest]))
    return {
        "random_share_later": share(low > 1.0),
        "random_ratio_largest": _proven(middle, float(low[latest]), float(high[latest]), len(low)),
    }


def _iteration(r: Arrays) -> dict[str, Estimate]:
    """Over all joints, problems, β and starts: the largest last step, the largest excess over F, the share stuck."""
    found: dict[str, Estimate] = {}
    for kind in ("moving", "fixed"):
        rows = np.concatenate([values for name, values in r.items() if name.endswith(kind)])
        _, before, value, lower, upper = rows.T
        worst = int((value - upper).argmax())
        low, high = value[worst] - upper[worst], value[worst] - lower[worst]
        found[f"excess_{kind}"] = Estimate(low, low, high, Kind.PROVEN, Unit.NATS, n=len(rows))
        found[f"last_step_{kind}"] = Estimate.exact(float((before - value).max()), Unit.NATS)
        found[f"stuck_{kind}"] = share(value - upper > 1e-6)
    moving, fixed = found["excess_moving"], found["excess_fixed"]
    ends = (moving.low - fixed.high, moving.high - fixed.low)
    return found | {"excess_by_atoms": Estimate.within(moving.value - fixed.value, ends, Kind.PROVEN, Unit.NATS)}


def _family(r: Arrays) -> dict[str, Estimate]:
    """The third singular value over the first, largest over families and β: zero within a family of two statistics."""
    found = {"dual_clusters": Estimate.exact(float(r["dual_clusters"].max()), Unit.ONE)}
    for name in ("family", *PROBLEMS):
        split = r[name][r[name][..., 0] > 1e-6]  # with one cluster there is nothing to compare
        found[f"outside_{name}"] = Estimate.exact(float((split[:, 2] / split[:, 0]).max()), Unit.ONE)
    return found


def _samples(r: Arrays) -> dict[str, Estimate]:
    """Paired differences of the error at the fewest samples: positive where dualExpIB (or dualIB) predicts better."""
    arm = {str(name): r["error"][:, i, int(r["sizes"].argmin())] for i, name in enumerate(r["arms"])}
    return {
        "advantage_over_ib": mean(arm["IB"] - arm["dualExpIB"], Unit.NATS),
        "advantage_over_same_family": mean(arm["MLE then IB"] - arm["dualExpIB"], Unit.NATS),
        "advantage_without_family": mean(arm["IB"] - arm["dualIB"], Unit.NATS),
        "advantage_of_family": mean(arm["dualIB"] - arm["dualExpIB"], Unit.NATS),
    }
