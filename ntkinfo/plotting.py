"""Figures. Each function draws on an Axes and returns it; matplotlib is imported on first use and its settings are left
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dualib.measures import Units, to_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dualib.gaussian import GaussianIB
    from ntkinfo.bounds_table import BoundsTable
    from ntkinfo.curve import InformationCurve
    from ntkinfo.ledger import ModeLedger

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

STYLES = ("-", "--", "-.", ":")

_NAMES = {
    "square_error": "test, one network",
    "ensemble_square_error": "test, ensemble mean",
    "train_square_error": "training, one network",
    "i_zx_exact": "I(Z;X|D), exact on the points",
    "i_zx_infonce_lower": "I(Z;X|D), InfoNCE",
    "i_zy_affine_lower": "I(Z;Y|D), affine",
    "i_zy_best_noise_lower": "I(Z;Y|D), best noise",
    "i_zy_unit_noise_lower": "I(Z;Y|D), unit noise",
    "i_zy_discrete_lower": "I(Z;Y|D), discrete",
    "i_zy_given_x_exact": "I(z;Y|X,x), exact",
    "i_zd_upper": "I(Z;D|X), upper",
    "i_zd_joint_upper": "I(Z;D|X), upper, joint",
    "parameter_kl": "KL of parameters",
    "parameter_kl_published": "KL of parameters, as published",
    "parameter_kl_infinite_width": "KL of parameters, infinite width",
    "parameter_kl_infinite_width_rate": "dKL/dτ of parameters, infinite width",
    "parameter_kl_rate": "dKL/dτ of parameters",
    "parameter_kl_weight_noise": "KL of parameters, noisy weights",
    "i_theta_y_exact": "I(θ;Y|X), exact for K = Θ",
}


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def _style(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)]}


def plot_loss(curve: InformationCurve, ax: Axes | None = None) -> Axes:
    """Squared errors against training time: of one network, of the ensemble's mean, and on the training set."""
    ax = _axes(ax)
    names = [name for name in ("square_error", "ensemble_square_error", "train_square_error") if name in curve.values]
    floor = 1e-4 * max(float(curve[name].max()) for name in names)
    for i, name in enumerate(names):
        ax.plot(curve.tau, curve[name], label=_NAMES[name], **_style(i))
    ax.set(xscale="log", yscale="log", xlabel="training time τ", ylabel="squared error per point")
    lowest = max(floor, 0.5 * min(float(curve[name].min()) for name in names))
    ax.set_ylim(lowest, 2e4 * floor)
    ax.legend()
    return ax


def plot_information_plane(
    curve: InformationCurve, gaussian_ib: GaussianIB | None = None, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """I(Z;Y|D) against I(Z;X|D), coloured by training time, with the exact Gaussian bottleneck curve where one is
    given.

    Both coordinates are lower bounds, so that a point left of the frontier is no violation; the figure says so.
    """
    from matplotlib.colors import LogNorm

    ax = _axes(ax)
    x_name = _first(curve, ("i_zx_exact", "i_zx_infonce_lower"))
    y_name = _first(curve, ("i_zy_affine_lower", "i_zy_discrete_lower", "i_zy_best_noise_lower"))
    x, y = to_units(curve[x_name], units), to_units(curve[y_name], units)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(curve.tau) & (curve.tau > 0)
    if not finite.any():
        raise ValueError("no point of the plane is finite")
    x, y, tau = x[finite], y[finite], curve.tau[finite]
    ax.plot(x, y, color="0.7", linewidth=1, zorder=1)
    norm = LogNorm(tau.min(), tau.max() * (1 + 1e-9))
    points = ax.scatter(x, y, c=tau, norm=norm, cmap="cividis", s=22, zorder=2)
    ax.figure.colorbar(points, ax=ax, label="training time τ")
    if gaussian_ib is not None:
        rates = np.linspace(0, max(float(x.max()) * 1.1, 1e-3), 300)
        rates_nats = rates / to_units(1.0, units)
        ax.plot(
            rates, to_units(gaussian_ib.relevance_at(rates_nats), units), color=COLOURS[1], label="Gaussian IB frontier"
        )
        ax.axhline(to_units(gaussian_ib.mutual_information(), units), color="0.4", linestyle=":", label="I(X;Y)")
        ax.legend(loc="lower right")
    ax.set_ylim(
        bottom=min(0.0, max(float(y.min()), -0.25 * max(float(y.max()), 0.1))) - 0.02 * max(float(y.max()), 0.1)
    )
    ax.set(xlabel=f"I(Z;X|D)  [{units}]", ylabel=f"I(Z;Y|D)  [{units}]")
    ax.set_title("both axes are lower bounds: a point left of a frontier is no violation", fontsize=8)
    return ax


def _first(curve: InformationCurve, names: Sequence[str]) -> str:
    for name in names:
        if name in curve.values:
            return name
    raise ValueError(f"the curve has none of {', '.join(names)}: give y_test to information_curve")


def plot_quantities(
    curve: InformationCurve, names: Sequence[str] | None = None, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """Informations against training time, log-log; zeros and negative bounds are left out, infinities end a line."""
    ax = _axes(ax)
    chosen = (
        names
        if names is not None
        else [name for name in _NAMES if name in curve.values and _is_information(curve, name)]
    )
    if not chosen:
        raise ValueError("no quantity to plot")
    for i, name in enumerate(chosen):
        values = to_units(curve[name], units)
        shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        ax.plot(curve.tau, shown, label=_NAMES.get(name, name), **_style(i))
    ax.set(xscale="log", yscale="log", xlabel="training time τ", ylabel=f"information  [{units}]")
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
    return ax


def _is_information(curve: InformationCurve, name: str) -> bool:
    return next(c.unit for c in curve.columns if c.name == name) == "nats"


def plot_mode_ledger(ledger: ModeLedger, ax: Axes | None = None, units: Units = "bits") -> Axes:
    """What each eigenmode contributes at one time: to the fit, the training error, and the information in the
    parameters.
    """
    ax = _axes(ax)
    mode = np.arange(1, ledger.eigenvalue.size + 1)
    series = (
        (ledger.eigenvalue, "eigenvalue λ"),
        (ledger.label_power, "label power"),
        (ledger.fitted, "fraction fitted"),
        (ledger.training_error, "training error"),
        (to_units(ledger.parameter_kl, units), f"KL of parameters [{units}]"),
        (to_units(ledger.parameter_label_information, units), f"I(θ;Y|X) [{units}]"),
    )
    lowest = 1e-8 * max(float(v[np.isfinite(v)].max(initial=0.0)) for v, _ in series)
    for i, (values, label) in enumerate(series):
        shown = np.where(np.isfinite(values) & (values > lowest), values, np.nan)
        ax.plot(mode, shown, label=label, marker="o", markersize=3, linewidth=0.8, **_style(i))
    ax.set(xscale="log", yscale="log", xlabel="mode, largest eigenvalue first", ylabel="contribution of the mode")
    ax.set_title(f"τ = {ledger.tau:.3g}", fontsize=9)
    ax.legend(fontsize=7)
    return ax


def plot_bounds(table: BoundsTable, ax: Axes | None = None) -> Axes:
    """Bounds on the risk against training time, with the risks; where a bound is vacuous (1 or more) is shaded and cut
    off.
    """
    ax = _axes(ax)
    ax.plot(table.tau, table.train_risk, color="0.5", linewidth=2, label="training risk")
    if table.test_risk is not None:
        ax.plot(table.tau, table.test_risk, color="black", linewidth=2, label="test risk")
    for i, name in enumerate(table.bounds):
        value, vacuous = table.risk_bound(name), table.vacuous(name)
        said = " (heuristic)" if "heuristic" in table.bounds[name][0].assumption else ""
        said += " (vacuous throughout)" if vacuous.all() else ""
        ax.plot(table.tau, np.where(vacuous, np.nan, value), label=name + said, **_style(i))
    ax.axhspan(1.0, 1.12, color="0.85", zorder=0)
    ax.text(0.5, 1.06, "vacuous", ha="center", va="center", fontsize=8, transform=ax.get_yaxis_transform())
    ax.set(xscale="log", ylim=(0, 1.12), xlabel="training time τ", ylabel=f"risk ({table.loss.replace('_', ' ')} loss)")
    ax.legend(fontsize=7)
    return ax
