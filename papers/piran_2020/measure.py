"""The numbers that expected.toml judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from papers.frame import Measurement
from papers.intervals import exact, share_interval, t_interval

PROBLEMS = ("ib", "dual")


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    return (
        _curves(results["curves"])
        | _random_joints(results["random_joints"])
        | _iteration(results["iteration"])
        | _family(results["family"])
        | _samples(results["samples"])
    )


def _curves(r: Mapping[str, Any]) -> dict[str, Measurement]:
    largest = int(r["gap"].argmax())
    gap, mutual_information = float(r["gap"][largest]), r["mutual_information"]
    ib, dual = r["ib_transitions"], r["dual_transitions"]
    k = min(len(ib), len(dual))
    latest = int((dual[:k, 1] / ib[:k, 1]).argmax())
    ratio = [dual[latest, i] / ib[latest, 2 - i] for i in (0, 1, 2)]
    found = {
        "gap_largest": exact(gap, "nats"),
        "gap_smallest": exact(float(r["gap"].min()), "nats"),
        "gap_relative": exact(gap / mutual_information, "1"),
        "gap_rate": exact(float(r["gap_rate"][largest]), "nats"),
        "proven_gap_largest": exact(float(max(r["ib_proven_gap"].max(), r["dual_proven_gap"].max())), "nats"),
        "transition_ratio_largest": Measurement(ratio[1], ratio[0], ratio[2], "1"),
        "transitions_compared": exact(k, "1"),
    }
    for name, brackets in (("ib", ib), ("dual", dual)):
        for i, (low, beta, high) in enumerate(brackets[:3], 1):
            found[f"{name}_transition_{i}"] = Measurement(beta, min(low, beta), max(high, beta), "1")
    return found


def _random_joints(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """How often the first transition of the dual is proven to come later than that of IB, and by what factor at most."""
    (ib_low, ib_high), (dual_low, dual_high) = r["ib"].T, r["dual"].T
    low, high = dual_low / ib_high, dual_high / ib_low
    latest = int(low.argmax())
    middle = float(np.sqrt(low[latest] * high[latest]))
    return {
        "random_share_later": share_interval(low > 1.0),
        "random_ratio_largest": Measurement(middle, float(low[latest]), float(high[latest]), "1", len(low)),
    }


def _iteration(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """Over all joints, problems, β and starts: the largest last step, the largest excess over F, the share stuck."""
    found = {}
    for kind in ("moving", "fixed"):
        rows = np.concatenate([values for name, values in r.items() if name.endswith(kind)])
        _, before, value, lower, upper = rows.T
        worst = int((value - upper).argmax())
        low, high = value[worst] - upper[worst], value[worst] - lower[worst]
        found[f"excess_{kind}"] = Measurement(low, low, high, "nats", len(rows))
        found[f"last_step_{kind}"] = exact(float((before - value).max()), "nats")
        found[f"stuck_{kind}"] = share_interval(value - upper > 1e-6)
    return found


def _family(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """The third singular value over the first, largest over families and β: zero within a family of two statistics."""
    found = {"dual_clusters": exact(float(r["dual_clusters"].max()), "1")}
    for name in ("family", *PROBLEMS):
        split = r[name][r[name][..., 0] > 1e-6]  # with one cluster there is nothing to compare
        found[f"outside_{name}"] = exact(float((split[:, 2] / split[:, 0]).max()), "1")
    return found


def _samples(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """Paired differences of the error at the fewest samples: positive where dualExpIB (or dualIB) predicts better."""
    arm = {str(name): r["error"][:, i, int(r["sizes"].argmin())] for i, name in enumerate(r["arms"])}
    return {
        "advantage_over_ib": t_interval(arm["IB"] - arm["dualExpIB"], "nats"),
        "advantage_over_same_family": t_interval(arm["MLE then IB"] - arm["dualExpIB"], "nats"),
        "advantage_without_family": t_interval(arm["IB"] - arm["dualIB"], "nats"),
    }
