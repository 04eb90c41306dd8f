"""Where the layers stand in the information plane when the noise of their gradients takes over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnets.gradients import GradientPhases
from deepnets.planes.plane import SIDES, InformationPlane
from dualib.core.result import Result
from dualib.core.typing import Float


@dataclass(frozen=True, eq=False)
class PhaseChange(Result):
    """The change of phase of each layer on the mean path; NaN where there is none.

    Attributes
    ----------
    epochs : array, shape (L,)
        Median over replicas of the epoch at which the layer's SNR falls below 1.
    rate, relevance : array, shape (L,)
        Means over replicas of I(X;T) and I(T;Y) there, linear in log(1 + epoch) between snapshots. Nats.
    """

    epochs: Float[np.ndarray, " L"]
    rate: Float[np.ndarray, " L"]
    relevance: Float[np.ndarray, " L"]


def phase_change(plane: InformationPlane, phases: GradientPhases) -> PhaseChange:
    """Where the mean path of each layer is when its gradients change from drift to diffusion.

    Parameters
    ----------
    plane : InformationPlane
    phases : GradientPhases
        Of the same training. Layers of weights belong to the layers that they lead to, where there are as many, or the weights of
        the outputs beside; otherwise the median over all of them is taken.

    Returns
    -------
    PhaseChange
    """
    median = phases.transition().value
    if len(median) - len(plane.layers) in (0, 1):
        epochs = median[: len(plane.layers)].astype(np.float64)
    else:
        epochs = np.full(len(plane.layers), float(np.median(median)))
    epochs[~np.isfinite(epochs) | (epochs <= 0) | (epochs > plane.epochs[-1])] = np.nan
    time = np.log1p(plane.epochs)
    found = [
        np.array([np.interp(np.log1p(epoch), time, column) for epoch, column in zip(epochs, path.T, strict=True)])
        for path in (plane.side(side, "nats").value.mean(axis=0) for side in SIDES)
    ]
    return PhaseChange(epochs, *found)
