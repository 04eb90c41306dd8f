"""The predicted coefficients b of 1/width, q_N = q_∞ + b/N, where theory has them; the widths' own slopes are set against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepnets.networks import Network
from deepnets.widths.finite import EVIDENCE_NOISE, Row
from dualib.core.result import Result
from dualib.core.typing import FloatArray
from ntkinfo.finite_width import corrections, trained, width_coefficient
from ntkinfo.setting import Setting

MOST_POINTS = 20
"""Training and test points up to which the coefficients are computed: the four-point function takes p⁴ numbers."""


@dataclass(frozen=True)
class Slope(Result):
    """A predicted coefficient of 1/width, in the quantity's unit (nats where it is an information).

    Attributes
    ----------
    quantity : str
    tau, value : float
    """

    quantity: str
    tau: float
    value: float


@dataclass(frozen=True)
class Slopes(Result):
    """All predicted coefficients of a comparison.

    Attributes
    ----------
    values : tuple of Slope
        Of the quantities and times that have one.
    note : str
        Why there are none: a kink, more than :data:`MOST_POINTS` points, or what refused them; "" where there are.
    """

    values: tuple[Slope, ...] = ()
    note: str = ""

    def of(self, quantity: str, tau: float) -> float:
        """The coefficient of a quantity at a time; NaN where there is none."""
        return next((s.value for s in self.values if (s.quantity, s.tau) == (quantity, tau)), np.nan)


def predicted_slopes(setting: Setting, network: Network, x: FloatArray, rows: Sequence[Row]) -> Slopes:
    """The coefficients of the rows' quantities, for networks of equal widths on the points x, training points first."""
    n = setting.ensemble.n_train
    if not network.phi.has_third_kernel:
        return Slopes(note=f"{network.activation} has a kink: no coefficients of 1/width are predicted")
    if len(x) > MOST_POINTS:
        return Slopes(note=f"coefficients of 1/width are predicted up to {MOST_POINTS} points, not for {len(x)}")
    try:
        start = corrections(
            x[:n],
            x[n:],
            hidden_layers=network.hidden_layers,
            activation=network.phi,
            w_std=network.w_std,
            b_std=network.b_std,
            progress=False,
        )
    except ValueError as error:  # φ has too few derivatives, or the expectations do not converge
        return Slopes(note=f"no coefficients of 1/width: {error}")
    found = []
    for tau in dict.fromkeys(row.tau for row in rows):
        after = trained(start, setting.ensemble.y_train[:, 0], tau)
        for name in dict.fromkeys(row.quantity for row in rows if row.tau == tau):
            try:
                value = width_coefficient(
                    after,
                    name,
                    y_test=setting.labels,
                    entropy_y=setting.entropy,
                    label_noise=setting.label_noise,
                    noise=EVIDENCE_NOISE,
                )
            except ValueError:  # more than the four-point function determines
                continue
            found.append(Slope(name, tau, value))
    return Slopes(tuple(found))
