"""The numbers that claims.toml judges."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import mean, ratio, share
from dualib.core.typing import FloatArray, IntArray
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
    """How often the first transition of the dual is proven to come earlier than that of IB, or later, and by what factor."""
    (ib_low, ib_high), (dual_low, dual_high) = r["ib"].T, r["dual"].T
    low, high = dual_low / ib_high, dual_high / ib_low
    latest = int(low.argmax())
    middle = float(np.sqrt(low[latest] * high[latest]))
    return {
        "random_share_earlier": share(high < 1.0),
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
    for where in ("toy", "hamming"):
        moving = np.concatenate([r[f"{where}_{name}_moving"] for name in PROBLEMS])
        found[f"reached_{where}"] = share(moving[:, 2] - moving[:, 4] <= 1e-6)
    return found


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
    exponent = {name: _exponents(r["sizes"], r["error"][:, i]) for i, name in enumerate(map(str, r["arms"]))}
    by_family, by_dual = arm["IB"] - arm["dualExpIB"], arm["MLE then IB"] - arm["dualExpIB"]
    return {
        "advantage_over_ib": mean(by_family, Unit.NATS),
        "advantage_over_same_family": mean(by_dual, Unit.NATS),
        "share_owed_to_dual": ratio(by_dual, by_family, paired=True),
        "advantage_without_family": mean(arm["IB"] - arm["dualIB"], Unit.NATS),
        "advantage_of_family": mean(arm["dualIB"] - arm["dualExpIB"], Unit.NATS),
        "exponent_ib": mean(exponent["IB"], Unit.ONE),
        "exponent_dual_with_family": mean(exponent["dualExpIB"], Unit.ONE),
        "exponent_with_family_less_ib": mean(exponent["dualExpIB"] - exponent["IB"], Unit.ONE),
        "exponent_less_same_family": mean(exponent["dualExpIB"] - exponent["MLE then IB"], Unit.ONE),
        "exponent_without_family_less_ib": mean(exponent["dualIB"] - exponent["IB"], Unit.ONE),
        "exponent_of_family": mean(exponent["dualExpIB"] - exponent["dualIB"], Unit.ONE),
    }


def _exponents(sizes: IntArray, error: FloatArray) -> FloatArray:
    """Slope of the log of each batch's error in the log of the number of samples, (n_batches,)."""
    return np.asarray(np.polyfit(np.log(sizes), np.log(error).T, 1)[0])
