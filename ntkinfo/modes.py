"""Which eigenmode of Θ contributes what, at one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.arrays import positive
from dualib.core.result import Result
from dualib.core.typing import Float
from dualib.core.units import Units, to_units
from ntkinfo.ensemble import Ensemble
from ntkinfo.quantities.spectra import displacement, entropy_gap, log_gain

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ModeTable(Result):
    """Contributions of the modes, largest eigenvalue first; each array sums to the quantity it is named after.

    Attributes
    ----------
    tau : float
    label_noise : float
        s², the variance of Y|X.
    eigenvalue : array, shape (n,)
        λ_j of Θ.
    label_power : array, shape (n,)
        ‖y_j‖², the squared labels in the mode.
    initial_variance : array, shape (n,)
        κ_j, the initial output variance in the mode.
    fitted : array, shape (n,)
        λ_j a_j, the fraction fitted; sums to the degrees of freedom.
    training_error : array, shape (n,)
        r_j² (k κ_j + ‖y_j‖²); sums to n times the expected squared error on the training set.
    distance_squared : array, shape (n,)
        The mode's part of E‖θ_τ - θ_0‖².
    parameter_kl : array, shape (n,)
        The mode's part of the linearised parameter KL, in nats.
    parameter_label_information : array, shape (n,)
        The mode's part of I(θ;Y|X) for label noise of variance `label_noise`, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> table = ntkinfo.mode_table(ensemble, 0.5)
    >>> table.eigenvalue, table.fitted.round(6)  # 1 − e^{−1}
    (array([2., 2.]), array([0.632121, 0.632121]))
    """

    tau: float
    label_noise: float
    eigenvalue: Float[np.ndarray, " n"]
    label_power: Float[np.ndarray, " n"]
    initial_variance: Float[np.ndarray, " n"]
    fitted: Float[np.ndarray, " n"]
    training_error: Float[np.ndarray, " n"]
    distance_squared: Float[np.ndarray, " n"]
    parameter_kl: Float[np.ndarray, " n"]
    parameter_label_information: Float[np.ndarray, " n"]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a mode, largest eigenvalue first; the names of information columns end in their unit."""
        import pandas as pd

        plain = "eigenvalue", "label_power", "initial_variance", "fitted", "training_error", "distance_squared"
        columns = {name: getattr(self, name) for name in plain}
        for name in ("parameter_kl", "parameter_label_information"):
            columns[f"{name}_{units}"] = to_units(getattr(self, name), units)
        return pd.DataFrame(columns, index=pd.RangeIndex(1, self.eigenvalue.size + 1, name="mode"))


def mode_table(ensemble: Ensemble, tau: float, *, label_noise: float = 1.0) -> ModeTable:
    """Tabulate what each mode of an ensemble contributes at time `tau`.

    Parameters
    ----------
    ensemble : Ensemble
    tau : float
        At least 0.
    label_noise : float
        s² of Y|X in the information in the parameters.

    Returns
    -------
    ModeTable

    Raises
    ------
    ValueError
        If `label_noise` is not positive, or the learning rule does not reach `tau`.

    Examples
    --------
    >>> import numpy as np
    >>> import ntkinfo
    >>> ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(2 * np.eye(2), np.eye(2)), [1.0, -1.0])
    >>> len(ntkinfo.mode_table(ensemble, 1.0).to_frame())
    2
    """
    positive(label_noise, "label_noise")
    spectrum, k = ensemble.spectrum(float(tau)), ensemble.n_outputs
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
