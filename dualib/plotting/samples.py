"""Relevance over β from samples: as the sample says, corrected with its band, and held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dualib.core.figure import COLOURS, GREY, LABEL, axes_or_new
from dualib.core.units import Units, to_units
from dualib.plotting.parts import DASHED, MARKER, beta_axis, has_data, legend_above, limits
from dualib.sampling.bootstrap import SampledCurve
from dualib.sampling.held_out import HeldOut

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_samples(
    sampled: SampledCurve, held_out: HeldOut | None = None, *, ax: Axes | None = None, units: Units = "bits"
) -> Axes:
    """Plot relevance I(T;Y) over β: of the sample itself, corrected for its bias with the bootstrap's band, and held out.

    Parameters
    ----------
    sampled : SampledCurve
    held_out : HeldOut or None
        Drawn with its standard errors; a dotted line stands at the β of the fewest bits within one standard error of the best.
    ax : Axes or None
        Axes to draw into; None makes a new figure.
    units : {"bits", "nats"}

    Returns
    -------
    Axes

    Examples
    --------
    >>> from dualib import Joint, bootstrap_curve
    >>> sampled = bootstrap_curve(Joint.from_counts([[20, 5], [3, 30]]), [1.5, 5.0], n_bootstrap=3, progress=False)
    >>> plot_samples(sampled).get_ylabel()
    'relevance I(T;Y) [bits]'
    """
    again = has_data(ax)
    ax = axes_or_new(ax, 2.6)
    beta_axis(ax, sampled.beta, again)
    plug_in, corrected, low, high = (
        to_units(getattr(sampled, part)["relevance"], units) for part in ("plug_in", "corrected", "low", "high")
    )
    ax.fill_between(sampled.beta, low, high, color=COLOURS[0], alpha=0.2, lw=0, label=f"{sampled.level:.0%} band")
    ax.plot(sampled.beta, plug_in, color=GREY, lw=1.0, ls=DASHED, label="of the sample")
    ax.plot(sampled.beta, corrected, color=COLOURS[0], lw=1.2, label="corrected")
    heights = [low, high, plug_in, np.zeros(1)]
    if held_out is not None:
        mean, error = to_units(held_out.mean, units), to_units(held_out.standard_error, units)
        ax.errorbar(
            held_out.beta, mean, error, fmt="s", ms=MARKER, lw=0.8, capsize=1.5, color=COLOURS[1], label="held out"
        )
        ax.axvline(held_out.one_standard_error_beta, color=COLOURS[1], lw=0.8, ls=":", zorder=1)
        heights += [mean - error, mean + error]
    every = np.concatenate(heights)
    reach = float(np.ptp(every)) or 1.0
    limits(ax, "y", float(every.min()) - 0.04 * reach, float(every.max()) + 0.06 * reach, again)
    ax.set_ylabel(f"relevance I(T;Y) [{units}]", fontsize=LABEL)
    legend_above(ax, ax)
    return ax
