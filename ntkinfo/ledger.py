"""Which eigenmode of Θ contributes what, at one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ntkinfo._arrays import FloatArray, positive
from ntkinfo.ensemble import Ensemble
from ntkinfo.quantities.spectra import displacement, entropy_gap, log_gain

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ModeTable:
    """Contributions of the modes, largest eigenvalue first; each array has shape (n,), and sums to the quantity it is
    named after.

    Attributes
    ----------
    tau : the time.
    eigenvalue : λ_j of Θ.
    label_power : ‖y_j‖², the squared labels in the mode.
    initial_variance : κ_j, the initial output variance in the mode.
    fitted : λ_j a_j, the fraction fitted; sums to the degrees of freedom.
    training_error : r_j² (k κ_j + ‖y_j‖²); sums to n times the expected squared error on the training set.
    distance_squared : the mode's part of E‖θ_τ - θ_0‖².
    parameter_kl : the mode's part of the linearised parameter KL, in nats.
    parameter_label_information : the mode's part of I(θ;Y|X) for label noise of variance `label_noise`, in nats.
    label_noise : s².
    """

    tau: float
    label_noise: float
    eigenvalue: FloatArray
    label_power: FloatArray
    initial_variance: FloatArray
    fitted: FloatArray
    training_error: FloatArray
    distance_squared: FloatArray
    parameter_kl: FloatArray
    parameter_label_information: FloatArray

    def to_frame(self) -> pd.DataFrame:
        """One row a mode, largest eigenvalue first; information columns carry the unit nats."""
        import pandas as pd

        columns = {
            "eigenvalue": self.eigenvalue,
            "label_power": self.label_power,
            "initial_variance": self.initial_variance,
            "fitted": self.fitted,
            "training_error": self.training_error,
            "distance_squared": self.distance_squared,
            "parameter_kl_nats": self.parameter_kl,
            "parameter_label_information_nats": self.parameter_label_information,
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(1, self.eigenvalue.size + 1, name="mode"))


def mode_table(ensemble: Ensemble, tau: float, label_noise: float = 1.0) -> ModeTable:
    """The ledger of an ensemble's modes at time `tau`.

    Parameters
    ----------
    tau : float >= 0.
    label_noise : s² of Y|X in the parameter information.

    Returns
    -------
    ModeTable
    """
    spectrum, k = ensemble.spectrum(float(tau)), ensemble.n_outputs
    positive("label_noise", label_noise)
    distance = displacement(ensemble, spectrum)[0]
    if ensemble.centred:
        kl, information = 0.5 * distance, np.where(spectrum.fitted[0] > 0, np.inf, 0.0)
    else:
        kl = 0.5 * distance + k * entropy_gap(spectrum)[0]
        information = 0.5 * k * np.logaddexp(0.0, np.log(label_noise) + log_gain(spectrum)[0])
    columns = {
        "eigenvalue": ensemble.eigenvalues,
        "label_power": (ensemble.y_modes**2).sum(axis=1),
        "initial_variance": ensemble.kappa,
        "fitted": spectrum.fitted[0],
        "training_error": spectrum.residual[0] ** 2 * ensemble.mode_power,
        "distance_squared": distance,
        "parameter_kl": kl,
        "parameter_label_information": information,
    }
    return ModeTable(float(tau), float(label_noise), **{name: column[::-1].copy() for name, column in columns.items()})
