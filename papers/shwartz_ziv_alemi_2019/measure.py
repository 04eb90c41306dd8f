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
from papers.experiments.readings import mean_correlation, mean_share, of_finite, rank_correlation

ACTIVATIONS = ("erf", "relu")
LOW = 0.25  # the weight scale of the paper's Fig. 4


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    found = _scales(results["scales"]) | _sizes(results["sizes"]) | _late(results["late"]) | _together(results)
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
    """Finite networks, extrapolated to infinite width, over the prediction, with two standard errors; 1 where they agree.

    Of one hidden layer at the middle time under the plain name, at the last time (_late), and of two at the middle one (_deep).
    """
    found = {}
    middle, last = (len(r["taus"]) - 1) // 2, len(r["taus"]) - 1
    for i, name in enumerate(map(str, r["quantity"])):
        for suffix, depth, time in (("", 0, middle), ("_late", 0, last), ("_deep", len(r["depths"]) - 1, middle)):
            value, error = r["extrapolated"][depth, time, i] / r["infinite"][depth, time, i]
            if name in JUDGED and np.isfinite([value, error]).all():
                found[JUDGED[name] + suffix] = _two_errors(float(value), abs(float(error)))
    return found | {"finite_compared": Estimate.exact(len(r["quantity"]), Unit.QUANTITIES)}


def _late(r: Arrays) -> dict[str, Estimate]:
    """Width of the bracket of I(Z;X|D) at the end, its upper end, how that grows over the last decade, and its share of the KL."""
    found: dict[str, Estimate] = {}
    for i, w_std in enumerate(r["w_std"]):
        upper, lower, kl = r["upper"][i], r["lower"][i], r["parameter_kl"][i]
        found |= of_finite(f"rate_bracket_{w_std:g}", np.maximum(upper[:, -1] - lower[:, -1], 0.0), Unit.NATS)
        found |= of_finite(f"rate_upper_{w_std:g}", upper[:, -1], Unit.NATS)
        found |= of_finite(f"rate_growth_{w_std:g}", upper[:, -1] - upper[:, -2], Unit.NATS)
        found |= of_finite(f"rate_over_kl_{w_std:g}", upper[:, -1] / kl[:, -1], Unit.ONE)
    return found


def _together(results: Results) -> dict[str, Estimate]:
    """Rank correlations, one a data seed, of the rate's upper bound with the gap between test and training error.

    Over all times at one weight scale; and over the numbers of training points, at the time of least test error.
    """
    r, n = results["scales"], results["sizes"]
    low = int(np.flatnonzero(r["w_std"] == LOW)[0])
    gap, rate = ((r[name][ACTIVATIONS.index("erf"), low]) for name in ("error", "rate_upper"))
    gap = gap - r["train_error"][ACTIVATIONS.index("erf"), low]
    best = n["error"].argmin(axis=-1)
    late = [
        (g[b:], x[b:]) for g, x, b in zip(r["error"][0, low], rate, r["error"][0, low].argmin(axis=-1), strict=True)
    ]
    error, optimal_gap, optimal_rate = (
        at_index(values, best).T for values in (n["error"], n["error"] - n["train_error"], n["rate_upper"])
    )
    return {
        **mean_correlation(
            "rate_with_gap_over_time", [rank_correlation(*pair) for pair in zip(rate, gap, strict=True)]
        ),
        **mean_correlation("rate_with_error_after_best", [rank_correlation(*pair) for pair in late]),
        **mean_correlation(
            "rate_with_gap_over_samples", [rank_correlation(*p) for p in zip(optimal_rate, optimal_gap, strict=True)]
        ),
        **mean_correlation(
            "rate_with_error_over_samples", [rank_correlation(*p) for p in zip(optimal_rate, error, strict=True)]
        ),
        **mean_correlation("rate_with_samples", [rank_correlation(x, n["sizes"]) for x in optimal_rate]),
    }


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
                f"rate_late_share_{where}": mean_share(r["rate"][i, k, :, -1] / r["log_n_rate"]),
                f"kl_slope_{where}": mean(slope[i, k], Unit.ONE),
                f"pac_bayes_late_{where}": mean(bound[i, k], Unit.ONE),
            }
        found[f"underfit_{activation}"] = mean(relevance[i].max(axis=0) - relevance[i, -1], Unit.NATS)
    return found


def _sizes(r: Arrays) -> dict[str, Estimate]:
    """From the fewest to the most training points, paired by data seed."""
    best = r["error"].argmin(axis=-1)
    error, rate = at_index(r["error"], best), at_index(r["rate_upper"], best)
    frontier = at_index(r["relevance"], best) / r["frontier_at_best"]
    fixed = int(r["fixed"])
    return {
        "frontier_fewest": mean(frontier[0], Unit.ONE),
        "frontier_most": mean(frontier[-1], Unit.ONE),
        "size_error_optimal": geometric_mean(error[-1] / error[0], Unit.ONE),
        "size_error_fixed": geometric_mean(r["error"][-1, :, fixed] / r["error"][0, :, fixed], Unit.ONE),
        "size_rate_optimal": mean(rate[-1] - rate[0], Unit.NATS),
        "size_rate_fixed": mean(r["rate_upper"][-1, :, fixed] - r["rate_upper"][0, :, fixed], Unit.NATS),
        "size_time_optimal": geometric_mean(r["tau"][best[-1]] / r["tau"][best[0]], Unit.ONE),
        "size_largest": Estimate.exact(float(r["sizes"][-1]), Unit.ONE),
    }
