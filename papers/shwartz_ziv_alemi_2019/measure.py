"""The numbers that expected.toml judges, over data seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ntkinfo.bounds import mcallester
from papers.frame import Measurement
from papers.intervals import exact, geometric_t_interval, t_interval

ACTIVATIONS = ("erf", "relu")


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    found = _scales(results["scales"]) | _sizes(results["sizes"])
    for i, w_std in enumerate(results["digits"]["w_std"]):
        error = results["digits"]["error"][i]
        found[f"overfit_digits_{w_std:g}"] = geometric_t_interval(error[:, -1] / error.min(axis=-1), "1")
    return found | _finite(results["finite"])


JUDGED = {
    "expected_square_error": "finite_error",
    "input_information": "finite_input_information",
    "label_information_unit_noise": "finite_label_information",
    "fisher_trace": "finite_fisher_trace",
    "parameter_distance_squared": "finite_parameter_distance",
    "parameter_kl_infinite_width": "finite_kl_third_kernel",
    "parameter_kl": "finite_kl_linearised",
    "parameter_kl_published": "finite_kl_published",
}


def _finite(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """Finite networks, extrapolated to infinite width, over the prediction, with two standard errors; 1 where they agree."""
    found = {}
    for i, name in enumerate(map(str, r["quantity"])):
        if name in JUDGED:
            value, error = r["extrapolated"][i] / r["infinite"][i]
            found[JUDGED[name]] = Measurement(value, value - 2 * abs(error), value + 2 * abs(error), "1")
    return found | {
        "finite_compared": exact(len(r["agrees"]), "quantities"),
        "finite_disagreeing": exact(int((~r["agrees"]).sum()), "quantities"),
    }


def at_index(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[..., index], one index for each leading position."""
    return np.take_along_axis(values, index[..., None], -1)[..., 0]


def _scales(r: Mapping[str, Any]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    best = r["error"].argmin(axis=-1)
    overfit = r["error"][..., -1] / r["error"].min(axis=-1)
    relevance = at_index(r["relevance"], best)
    stopping = relevance / r["relevance"].max(axis=-1)
    frontier = relevance / r["frontier_at_best"]
    slope = np.log(r["parameter_kl"][..., -1] / r["parameter_kl"][..., -2]) / np.log(r["tau"][-1] / r["tau"][-2])
    bound = np.vectorize(lambda kl: mcallester(0.0, kl, int(r["n_train"])).value)(r["parameter_kl"][..., -1])
    for i, activation in enumerate(ACTIVATIONS):
        for k, w_std in enumerate(r["w_std"]):
            where = f"{activation}_{w_std:g}"
            found |= {
                f"overfit_{where}": geometric_t_interval(overfit[i, k], "1"),
                f"stopping_{where}": t_interval(stopping[i, k], "1"),
                f"relevance_{where}": t_interval(relevance[i, k], "nats"),
                f"frontier_{where}": t_interval(frontier[i, k], "1"),
                f"rate_late_{where}": t_interval(r["rate"][i, k, :, -1], "nats"),
                f"rate_late_share_{where}": t_interval(r["rate"][i, k, :, -1] / r["log_n_rate"], "1"),
                f"kl_slope_{where}": t_interval(slope[i, k], "1"),
                f"pac_bayes_late_{where}": t_interval(bound[i, k], "1"),
            }
        found[f"underfit_{activation}"] = t_interval(relevance[i].max(axis=0) - relevance[i, -1], "nats")
    return found


def _sizes(r: Mapping[str, Any]) -> dict[str, Measurement]:
    """From the fewest to the most training points, paired by data seed."""
    best = r["error"].argmin(axis=-1)
    error, rate = at_index(r["error"], best), at_index(r["rate"], best)
    frontier = at_index(r["relevance"], best) / r["frontier_at_best"]
    fixed = int(r["fixed"])
    return {
        "frontier_fewest": t_interval(frontier[0], "1"),
        "frontier_most": t_interval(frontier[-1], "1"),
        "size_error_optimal": geometric_t_interval(error[-1] / error[0], "1"),
        "size_error_fixed": geometric_t_interval(r["error"][-1, :, fixed] / r["error"][0, :, fixed], "1"),
        "size_rate_optimal": t_interval(rate[-1] - rate[0], "nats"),
        "size_rate_fixed": t_interval(r["rate"][-1, :, fixed] - r["rate"][0, :, fixed], "nats"),
        "size_time_optimal": geometric_t_interval(r["tau"][best[-1]] / r["tau"][best[0]], "1"),
        "size_largest": exact(float(r["sizes"][-1]), "1"),
    }
