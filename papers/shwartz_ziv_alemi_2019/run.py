"""Information in infinite ensembles of infinitely wide networks [shwartzziv2019]_, over weight scales and data seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import ntkinfo
from dualib.measures import FloatArray, to_units
from ntkinfo.bounds import mcallester
from ntkinfo.plotting import COLOURS, STYLES
from papers.frame import Measurement
from papers.intervals import exact, geometric_t_interval, t_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACTIVATIONS = ("erf", "relu")
QUANTITIES = (
    "i_zx_exact", "i_zy_affine_lower", "i_zd_upper", "i_zy_given_x_exact", "parameter_kl", "i_theta_y_exact",
    "parameter_kl_weight_noise",
)  # fmt: skip


def _times(settings: Mapping[str, Any]) -> np.ndarray:
    return np.geomspace(settings["tau_low"], settings["tau_high"], settings["n_taus"])


def _data_seeds(settings: Mapping[str, Any], seed: int) -> list[int]:
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(settings["n_data_seeds"])]


def _ensemble(data: ntkinfo.Dataset, activation: str, w_std: float) -> ntkinfo.Ensemble:
    network = ntkinfo.mlp(2, activation, w_std, 0.1)
    return ntkinfo.Ensemble(ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test), data.y_train)


def _against_time(data: ntkinfo.Dataset, ensemble: ntkinfo.Ensemble, taus: np.ndarray, n_rate: int) -> dict[str, Any]:
    """Errors and relevance on all test points; the rate, which is costly, on the first n_rate; nats.

    "frontier_at_best" is the exact bottleneck at the upper bound of the rate where the error is least.
    """
    law = ensemble.marginals(taus)
    part = ntkinfo.Marginals(law.mean[:, :n_rate], law.variance[:, :n_rate])
    error = ntkinfo.expected_square_error(law, data.y_test)
    best = int(error.argmin())
    assert data.entropy_y is not None
    assert data.gaussian_ib is not None
    upper = ntkinfo.input_information_leave_one_out(ntkinfo.Marginals(part.mean[best], part.variance[best]))
    return {
        "error": error,
        "ensemble_error": ntkinfo.ensemble_square_error(law, data.y_test),
        "relevance": ntkinfo.label_information_affine(law, data.y_test, data.entropy_y),
        "rate": ntkinfo.input_information(part),
        "frontier_at_best": data.gaussian_ib.relevance_at(max(0.0, float(upper))),
        "parameter_kl": ntkinfo.parameter_kl(ensemble, taus),
    }


def _stack(rows: list[dict[str, Any]], shape: tuple[int, ...]) -> dict[str, FloatArray]:
    """Row by row into arrays of that leading shape."""
    return {name: np.reshape([row[name] for row in rows], (*shape, *np.shape(rows[0][name]))) for name in rows[0]}


def scales(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Everything against time for each activation, weight scale and data seed: arrays (2, n_scales, n_seeds, n_taus)."""
    taus, rows = _times(settings), []
    for activation in ACTIVATIONS:
        for w_std in settings["w_std"]:
            for one in _data_seeds(settings, seed):
                data = ntkinfo.gaussian_task(settings["n_train"], settings["n_test"], seed=one)
                rows.append(_against_time(data, _ensemble(data, activation, w_std), taus, settings["n_rate"]))
    result = _stack(rows, (len(ACTIVATIONS), len(settings["w_std"]), settings["n_data_seeds"]))
    # One correlation, fixed by I(X;Y), makes the frontier: it is the same for every data seed.
    assert data.gaussian_ib is not None
    rates = np.linspace(0.0, 6.0, 200)
    return result | {
        "tau": taus,
        "w_std": np.array(settings["w_std"]),
        "n_train": settings["n_train"],
        "log_n_rate": float(np.log(settings["n_rate"])),
        "frontier_rate": rates,
        "frontier": data.gaussian_ib.relevance_at(rates),
    }


def sizes(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Everything against time for each number of training points and data seed, erf: (n_sizes, n_seeds, n_taus)."""
    taus, rows = _times(settings), []
    for n in settings["sizes"]:
        for one in _data_seeds(settings, seed):
            data = ntkinfo.gaussian_task(n, settings["n_test"], seed=one)
            ensemble = _ensemble(data, "erf", settings["size_w_std"])
            rows.append(_against_time(data, ensemble, taus, settings["n_rate"]))
    result = _stack(rows, (len(settings["sizes"]), settings["n_data_seeds"]))
    fixed = int(np.abs(np.log(taus / settings["fixed_tau"])).argmin())
    return result | {"tau": taus, "sizes": np.array(settings["sizes"]), "fixed": fixed}


def quantities(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The quantities of one low-σ_w erf ensemble against time, nats."""
    data = ntkinfo.gaussian_task(settings["n_train"], settings["n_rate"], seed=_data_seeds(settings, seed)[0])
    ensemble = _ensemble(data, "erf", 0.25)
    curve = ntkinfo.information_curve(
        ensemble, _times(settings), y_test=data.y_test, entropy_y=data.entropy_y, label_noise=data.label_noise or 0.0
    )
    return {"tau": curve.tau, **{name: curve[name] for name in QUANTITIES}}


def digits(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Parity of handwritten digits by a convolutional network: error against time, (n_scales, n_seeds, n_taus)."""
    taus, n = _times(settings), settings["n_digits"]
    shape = (len(settings["digits_w_std"]), settings["n_data_seeds"], len(taus))
    error = np.zeros(shape)
    rate = np.zeros(shape)
    for i, w_std in enumerate(settings["digits_w_std"]):
        network = ntkinfo.cnn(2, "erf", w_std, 0.1)
        for k, one in enumerate(_data_seeds(settings, seed)):
            data = ntkinfo.digits_parity(n, n, images=True, seed=one)
            kernels = ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test)
            law = ntkinfo.Ensemble(kernels, data.y_train).marginals(taus)
            error[i, k] = ntkinfo.expected_square_error(law, data.y_test)
            rate[i, k] = ntkinfo.input_information(law)
    return {"tau": taus, "w_std": np.array(settings["digits_w_std"]), "error": error, "rate": rate}


EXPERIMENTS = {"scales": scales, "sizes": sizes, "quantities": quantities, "digits": digits}


def measure(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Measurement]:
    found = _scales(results["scales"]) | _sizes(results["sizes"])
    for i, w_std in enumerate(results["digits"]["w_std"]):
        error = results["digits"]["error"][i]
        found[f"overfit_digits_{w_std:g}"] = geometric_t_interval(error[:, -1] / error.min(axis=-1), "1")
    return found


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """values[..., index], one index for each leading position."""
    return np.take_along_axis(values, index[..., None], -1)[..., 0]


def _scales(r: Mapping[str, Any]) -> dict[str, Measurement]:
    found: dict[str, Measurement] = {}
    best = r["error"].argmin(axis=-1)
    overfit = r["error"][..., -1] / r["error"].min(axis=-1)
    relevance = _at(r["relevance"], best)
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
    error, rate = _at(r["error"], best), _at(r["rate"], best)
    frontier = _at(r["relevance"], best) / r["frontier_at_best"]
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


def figures(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Figure]:
    import matplotlib.pyplot as plt

    scales, q, digits = results["scales"], results["quantities"], results["digits"]
    loss, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for i, activation in enumerate(ACTIVATIONS):
        _fan(axes[i], scales["tau"], scales["error"][i], scales["w_std"])
        axes[i].set(title=f"Gaussian task, {activation}", yscale="log", ylabel="test error of one network")
    _fan(axes[2], digits["tau"], digits["error"], digits["w_std"])
    axes[2].set(title="digits parity, convolutional, erf", yscale="log", ylabel="test error of one network")

    quantity, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    curve = ntkinfo.InformationCurve(q["tau"], {name: q[name] for name in QUANTITIES}, (), {})
    ntkinfo.plot_quantities(curve, QUANTITIES, ax=ax)
    ax.set_title("erf, σ_w = 0.25, one data seed", fontsize=9)
    return {"loss": loss, "plane": _plane(scales), "quantities": quantity, "sizes": _sizes_figure(results["sizes"])}


def _fan(ax: Axes, tau: FloatArray, values: FloatArray, w_std: FloatArray) -> None:
    """Mean over data seeds against time, one line a weight scale; the band is the range over seeds."""
    for k, scale in enumerate(w_std):
        style: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "linestyle": STYLES[k % len(STYLES)]}
        ax.plot(tau, values[k].mean(axis=0), label=f"σ_w = {scale:g}", **style)
        ax.fill_between(tau, values[k].min(axis=0), values[k].max(axis=0), color=style["color"], alpha=0.15, lw=0)
    ax.set(xscale="log", xlabel="training time τ")
    ax.legend(fontsize=8)


def _plane(r: Mapping[str, Any]) -> Figure:
    """The information plane, means over data seeds, with the exact frontier; a dot where the test error is least."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    rate, relevance = to_units(r["rate"], "bits").mean(axis=2), to_units(r["relevance"], "bits").mean(axis=2)
    for i, (ax, activation) in enumerate(zip(axes, ACTIVATIONS, strict=True)):
        ax.plot(to_units(r["frontier_rate"], "bits"), to_units(r["frontier"], "bits"), "k", lw=2, label="Gaussian IB")
        for k, scale in enumerate(r["w_std"]):
            colour, best = COLOURS[k % len(COLOURS)], int(r["error"][i, k].mean(axis=0).argmin())
            line: dict[str, Any] = {"color": colour, "linestyle": STYLES[k % len(STYLES)]}
            ax.plot(rate[i, k], relevance[i, k], label=f"σ_w = {scale:g}", **line)
            ax.plot(rate[i, k, best], relevance[i, k, best], "o", color=colour, ms=7, mec="k")
        ax.axvline(to_units(r["log_n_rate"], "bits"), color="0.5", ls=":", lw=1, label="log N, largest measurable")
        # Far below zero the bound says nothing: late outputs of wide weights are mostly noise.
        ax.set(title=activation, xlabel="I(Z;X|D)  [bits]", ylim=(-0.05, 0.7))
    axes[0].set_ylabel("I(Z;Y|D), affine lower bound  [bits]")
    axes[1].legend(fontsize=8)
    return figure


def _sizes_figure(r: Mapping[str, Any]) -> Figure:
    """Error and rate against the number of training points, at fixed and at optimal time, with Student's intervals."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    best, fixed = r["error"].argmin(axis=-1), int(r["fixed"])
    panels = (("error", "test error of one network", "1"), ("rate", "I(Z;X|D)  [nats]", "nats"))
    for ax, (name, label, unit) in zip(axes, panels, strict=True):
        arms = {"optimal time": _at(r[name], best), f"τ = {r['tau'][fixed]:.3g}": r[name][..., fixed]}
        for k, (when, values) in enumerate(arms.items()):
            found = [t_interval(row, unit) for row in values]
            middle = np.array([m.value for m in found])
            spread = [middle - [m.low for m in found], [m.high for m in found] - middle]
            at = r["sizes"] * 1.03 ** (2 * k - 1)
            ax.errorbar(at, middle, spread, color=COLOURS[k], marker="os"[k], ms=5, lw=1, label=when)
        ax.set(xscale="log", xlabel="training points n", ylabel=label)
        ax.legend()
    return figure
