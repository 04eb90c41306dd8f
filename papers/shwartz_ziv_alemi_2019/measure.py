"""The numbers that claims.toml judges, over data seeds."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import geometric_mean, mean
from dualib.core.typing import Float, Int
from dualib.core.units import Unit
from ntkinfo.bounds import mcallester
from papers.experiments.program import Arrays, Results

ACTIVATIONS = ("erf", "relu")


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    found = _scales(results["scales"]) | _sizes(results["sizes"])
    for i, w_std in enumerate(results["digits"]["w_std"]):
        error = results["digits"]["error"][i]
        found[f"overfit_digits_{w_std:g}"] = geometric_mean(error[:, -1] / error.min(axis=-1), Unit.ONE)
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


def _two_errors(value: float, error: float) -> Estimate:
    """A pure number with two standard errors to either side."""
    level = NormalDist().cdf(2.0) - NormalDist().cdf(-2.0)
    return Estimate(value, value - 2 * error, value + 2 * error, Kind.STATISTICAL, Unit.ONE, level, std_error=error)


def _finite(r: Arrays) -> dict[str, Estimate]:
    """Finite networks, extrapolated to infinite width, over the prediction, with two standard errors; 1 where they agree."""
    found = {}
    for i, name in enumerate(map(str, r["quantity"])):
        if name in JUDGED:
            value, error = r["extrapolated"][i] / r["infinite"][i]
            found[JUDGED[name]] = _two_errors(float(value), abs(float(error)))
    return found | {"finite_compared": Estimate.exact(len(r["quantity"]), Unit.QUANTITIES)}


def at_index(values: Float[np.ndarray, "*lead n"], index: Int[np.ndarray, "*lead"]) -> Float[np.ndarray, "*lead"]:
    """values[..., index], one index for each leading position."""
    return np.asarray(np.take_along_axis(values, index[..., None], -1)[..., 0])


def _scales(r: Arrays) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
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
                f"overfit_{where}": geometric_mean(overfit[i, k], Unit.ONE),
                f"stopping_{where}": mean(stopping[i, k], Unit.ONE),
                f"relevance_{where}": mean(relevance[i, k], Unit.NATS),
                f"frontier_{where}": mean(frontier[i, k], Unit.ONE),
                f"rate_late_{where}": mean(r["rate"][i, k, :, -1], Unit.NATS),
                f"rate_late_share_{where}": mean(r["rate"][i, k, :, -1] / r["log_n_rate"], Unit.ONE),
                f"kl_slope_{where}": mean(slope[i, k], Unit.ONE),
                f"pac_bayes_late_{where}": mean(bound[i, k], Unit.ONE),
            }
        found[f"underfit_{activation}"] = mean(relevance[i].max(axis=0) - relevance[i, -1], Unit.NATS)
    share = r["rate"][ACTIVATIONS.index("erf"), ..., -1] / r["log_n_rate"]
    low, high = (int(np.flatnonzero(r["w_std"] == w_std)[0]) for w_std in (0.25, 1.5))
    return found | {"rate_late_share_by_scale": mean(share[low] - share[high], Unit.ONE)}


def _sizes(r: Arrays) -> dict[str, Estimate]:
    """From the fewest to the most training points, paired by data seed."""
    best = r["error"].argmin(axis=-1)
    error, rate = at_index(r["error"], best), at_index(r["rate"], best)
    frontier = at_index(r["relevance"], best) / r["frontier_at_best"]
    fixed = int(r["fixed"])
    return {
        "frontier_fewest": mean(frontier[0], Unit.ONE),
        "frontier_most": mean(frontier[-1], Unit.ONE),
        "size_error_optimal": geometric_mean(error[-1] / error[0], Unit.ONE),
        "size_error_fixed": geometric_mean(r["error"][-1, :, fixed] / r["error"][0, :, fixed], Unit.ONE),
        "size_rate_optimal": mean(rate[-1] - rate[0], Unit.NATS),
        "size_rate_fixed": mean(r["rate"][-1, :, fixed] - r["rate"][0, :, fixed], Unit.NATS),
        "size_time_optimal": geometric_mean(r["tau"][best[-1]] / r["tau"][best[0]], Unit.ONE),
        "size_largest": Estimate.exact(float(r["sizes"][-1]), Unit.ONE),
    }
