"""The layers of a training against the bottleneck equations of its task, and the exact curves beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepnets.estimators import Binning, RangeBinning
from deepnets.planes.bottleneck import (
    BottleneckFit,
    exact_curves,
    excess_rate,
    fit_beta,
    fit_random_encoder,
    fit_shared_beta,
    with_noisy_labels,
)
from deepnets.planes.plane import indices
from deepnets.planes.source import Cells, Source
from deepnets.recordings.recording import Recording
from dualib import InformationCurve, Joint
from dualib.core.arrays import row_codes
from dualib.core.result import Result
from dualib.core.typing import ArrayLike
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class LayersReport(Result):
    """Binned layers of one replica at one epoch against the bottleneck.

    Attributes
    ----------
    layers : tuple of str
    epoch, replica : int
    own, shared, random : tuple of BottleneckFit
        A fit a layer: at its own best β, at the one β that is best for all, and of a random encoder of the same cells.
    ib, dual : InformationCurve
        The exact curves of the task.

    Examples
    --------
    >>> report = layers_against_bottleneck(run, replica=0)  # doctest: +SKIP
    >>> [fit.beta for fit in report.own]  # doctest: +SKIP
    """

    layers: tuple[str, ...]
    epoch: int
    replica: int
    own: tuple[BottleneckFit, ...]
    shared: tuple[BottleneckFit, ...]
    random: tuple[BottleneckFit, ...]
    ib: InformationCurve
    dual: InformationCurve

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a layer: β, residuals of the bottleneck equations, and rates above the exact curves at equal I(T;Y)."""
        import pandas as pd

        columns: dict[str, object] = {
            "layer": self.layers,
            "beta": [fit.beta for fit in self.own],
            "beta_at_limit": [fit.at_the_edge for fit in self.own],
        }
        fits = {"residual": self.own, "residual_shared_beta": self.shared, "residual_random": self.random}
        for name, of in fits.items():
            columns[f"{name}_{units}"] = to_units(np.array([fit.residual for fit in of]), units)
        for name, curve in (("ib", self.ib), ("dualib", self.dual)):
            excess = np.array([excess_rate(fit, curve) for fit in self.own])
            columns[f"excess_rate_{name}_{units}"] = to_units(excess, units)
        return pd.DataFrame(columns)


def layers_against_bottleneck(
    recording: Recording,
    *,
    snapshot: int = -1,
    replica: int = 0,
    labels: ArrayLike | None = None,
    law: Joint | None = None,
    label_noise: float = 0.01,
    bins: int = 30,
    seed: int = 0,
) -> LayersReport:
    """Set the binned layers of a training against the bottleneck equations and the exact curves of its task.

    Parameters
    ----------
    recording : Recording
        A :class:`deepnets.Run`, a :class:`deepnets.Recorded`, or anything with their attributes.
    snapshot : int
        An index into its epochs.
    replica : int
    labels : array, shape (n,) or (n, k), or None
        Classes of the patterns, or their law p(y|x), to take in place of the recording's.
    law : Joint or None
        Of the patterns and noisy labels. By default that of the labels; where some are certain, with
    label_noise : float
        this share of them drawn anew, see :func:`deepnets.planes.with_noisy_labels`.
    bins : int
        Edges of the cells, which are those of the plane.
    seed : int
        Seed of the random encoders.

    Returns
    -------
    LayersReport

    Raises
    ------
    ValueError
        If a replica or snapshot is not there, or the law is of other patterns.

    References
    ----------
    [shwartzziv2017]_ section 3.6

    Examples
    --------
    >>> report = layers_against_bottleneck(run, replica=0)  # doctest: +SKIP
    >>> print(report.to_frame())  # doctest: +SKIP
    """
    source = Source.of(recording, labels)
    times = np.arange(len(recording.epochs))
    s = int(indices([snapshot], len(times), "snapshot", times)[0])
    r = int(indices([replica], recording.n_replicas, "replica", times)[0])
    joint = with_noisy_labels(source.task.joint, label_noise) if law is None else law
    cells = Cells(source, Binning(bins) if source.saturates else RangeBinning(bins), times).of(r)
    layers = source.activations(s, r)
    codes = [row_codes(c.codes(t))[0] for c, t in zip(cells, layers, strict=True)]
    own = tuple(fit_beta(c, joint) for c in codes)
    random = tuple(fit_random_encoder(c, joint, seed) for c in codes)
    epoch = int(recording.epochs[s])
    return LayersReport(source.layers, epoch, r, own, fit_shared_beta(codes, joint), random, *exact_curves(joint))
