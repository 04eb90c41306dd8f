"""The generalisation bounds of an ensemble against training time, beside the risks they bound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo import bounds
from ntkinfo._arrays import FloatArray, as_times
from ntkinfo.ensemble import Ensemble
from ntkinfo.information_inputs import input_information, input_information_kolchinsky_tracey_upper
from ntkinfo.laws import Marginals
from ntkinfo.parameters import parameter_kl

if TYPE_CHECKING:
    import pandas as pd

Loss = Literal["clipped_square", "zero_one"]


@dataclass(frozen=True, eq=False)
class BoundsTable:
    """Bounds at each time.

    Attributes
    ----------
    tau : shape (T,).
    train_risk : Gibbs risk on the training set, in [0, 1], shape (T,).
    test_risk : Gibbs risk on the test points, shape (T,), or None without test labels.
    information : the linearised parameter KL in nats, which the bounds use, shape (T,).
    bounds : name → one :class:`ntkinfo.bounds.Bound` a time.
    loss : "clipped_square" or "zero_one".
    """

    tau: FloatArray
    train_risk: FloatArray
    test_risk: FloatArray | None
    information: FloatArray
    bounds: dict[str, tuple[bounds.Bound, ...]]
    loss: Loss

    def risk_bound(self, name: str) -> FloatArray:
        """The bound `name` as a bound on the risk (a bound on the gap is added to the training risk), shape (T,)."""
        row = self.bounds[name]
        values = np.array([b.value for b in row])
        return values if row[0].on == "risk" else values + self.train_risk

    def vacuous(self, name: str) -> np.ndarray:
        """Where the bound `name` says nothing about the risk, boolean, shape (T,)."""
        return np.array([b.vacuous for b in self.bounds[name]]) | (self.risk_bound(name) >= 1)

    def to_frame(self) -> pd.DataFrame:
        """One row a time: risks, the KL in nats, each bound on the risk, and whether it is vacuous."""
        import pandas as pd

        data: dict[str, ArrayLike] = {"tau": self.tau, "train_risk": self.train_risk}
        if self.test_risk is not None:
            data["test_risk"] = self.test_risk
        data["parameter_kl_nats"] = self.information
        for name in self.bounds:
            key = name.lower().replace("-", "_").replace(" ", "_")
            data[key], data[f"{key}_vacuous"] = self.risk_bound(name), self.vacuous(name)
        return pd.DataFrame(data)

    def assumptions(self) -> pd.DataFrame:
        """One row a bound: what it bounds, what it assumes, its source."""
        import pandas as pd

        keep = [f.name for f in fields(bounds.Bound) if f.name not in ("value", "vacuous")]
        return pd.DataFrame([{k: getattr(row[0], k) for k in keep} for row in self.bounds.values()]).set_index("name")


def generalisation_bounds(
    ensemble: Ensemble,
    taus: ArrayLike,
    *,
    loss: Loss = "clipped_square",
    y_test: ArrayLike | None = None,
    delta: float = 0.05,
    scale: float = 1.0,
) -> BoundsTable:
    """The bounds that an ensemble's parameter KL gives, at each time, with the risks beside them.

    The PAC-Bayes bounds hold for the linearised model (exactly where K = Θ); Xu-Raginsky's holds in expectation, with
    the KL averaged over data sets, of which this is one; the input-compression bound is a heuristic, with I(Z;X|D) of
    the training inputs.

    Parameters
    ----------
    ensemble : Ensemble.
    taus : times, shape (T,). Each costs 2n³ operations, for the variances at the training points.
    loss : "clipped_square", min((y - z)²/scale, 1), or "zero_one" for labels ±1 or one-hot.
    y_test : labels at the test points, for the test risk.
    delta : probability of failure of the PAC-Bayes bounds.
    scale : of the clipped squared error.

    Returns
    -------
    BoundsTable

    Raises
    ------
    ValueError: labels outside the loss's assumption, or a parameter out of range; before the long work.
    """
    if loss not in ("clipped_square", "zero_one"):
        raise ValueError(f'loss must be "clipped_square" or "zero_one", got {loss!r}')
    times, n = np.atleast_1d(as_times(taus)), ensemble.n_train
    start = Marginals(np.zeros((n, ensemble.n_outputs)), np.ones(n))

    def risk(law: Marginals, y: ArrayLike) -> FloatArray:
        return bounds.clipped_square_risk(law, y, scale) if loss == "clipped_square" else bounds.zero_one_risk(law, y)

    risk(start, ensemble.y_train)  # refuse labels and parameters before the long work
    bounds.mcallester(0.0, 0.0, n, delta)
    law = ensemble.marginals(times, on="train")
    train = risk(law, ensemble.y_train)
    test = None if y_test is None else risk(ensemble.marginals(times), y_test)
    kl = parameter_kl(ensemble, times)
    compressed = input_information(law) if ensemble.n_outputs == 1 else input_information_kolchinsky_tracey_upper(law)
    rows = {
        "McAllester": [bounds.mcallester(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        "Seeger-Maurer": [bounds.seeger(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        "Catoni-Alquier": [bounds.catoni(r, d, n, delta) for r, d in zip(train, kl, strict=True)],
        "Xu-Raginsky": [bounds.xu_raginsky(d, n) for d in kl],
        "input compression": [bounds.input_compression(i, n, delta) for i in compressed],
    }
    return BoundsTable(times, train, test, kl, {name: tuple(row) for name, row in rows.items()}, loss)
