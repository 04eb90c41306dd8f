"""What a relaxation leaves: a run whose snapshots are points of its cost."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepnets.recordings.run import Run
from deepnets.recordings.run_files import RunFiles
from deepnets.relaxation.methods import Method, Metropolis, method_from_settings
from deepnets.tasks import Task
from dualib.core.typing import Float
from dualib.core.units import Units

if TYPE_CHECKING:
    import pandas as pd

TRACED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True, eq=False)
class Relaxation(Run):
    """R replicas, relaxed from one snapshot of a run on; a :class:`deepnets.Run` to all estimators.

    Its snapshots are those that were recorded. Their epochs are the epoch of the start and a third of the cost, an epoch's
    share of it: they stand beside a training's. ``epoch_gradients`` are NaN.

    Attributes
    ----------
    method : Method
        How it was relaxed.
    start_epoch : int
        Where.
    seed : int
        Seed of its random numbers.

    Examples
    --------
    >>> relaxed = deepnets.relax(run, deepnets.relaxation.Langevin(), budget=1000)  # doctest: +SKIP
    >>> plane = deepnets.information_plane(relaxed)  # doctest: +SKIP
    """

    method: Method | None = None
    start_epoch: int = 0
    seed: int = 0

    @property
    def cost(self) -> Float[np.ndarray, " S"]:
        """Cost of each snapshot, in forward passes of a replica's training patterns; a gradient of them all is 3."""
        return np.asarray(self.observed["cost"])

    @property
    def cost_with_cache(self) -> Float[np.ndarray, " S"]:
        """As :attr:`cost`, where a proposal costs the multiplications of its layer and those above alone, as an average."""
        if not isinstance(self.method, Metropolis):
            return self.cost
        products = np.array([a * b for a, b in zip(self.network.widths, self.network.widths[1:], strict=False)])
        above = products[::-1].cumsum()[::-1] / products.sum()
        return np.asarray(self.cost * above.mean())

    @property
    def trace_cost(self) -> Float[np.ndarray, " T"]:
        """Cost at the points of :attr:`trace`."""
        return np.asarray(self.observed["trace_cost"][-1])

    @property
    def trace(self) -> dict[str, Float[np.ndarray, "R T"]]:
        """Loss and accuracy on training and test patterns as relaxation went, by name."""
        found = self.observed["trace"][-1]
        return {name: np.asarray(found[i]) for i, name in enumerate(TRACED)}

    @property
    def acceptance(self) -> Float[np.ndarray, "R L"] | None:
        """The share of accepted proposals by layer, since the widths of a Metropolis chain were frozen; None of other methods."""
        if "proposed" not in self.observed:
            return None
        proposed, accepted = (self.observed[name][-1].astype(float) for name in ("proposed", "accepted"))
        return np.asarray(np.divide(accepted, proposed, out=np.full(proposed.shape, np.nan), where=proposed > 0))

    @property
    def norms(self) -> Float[np.ndarray, "S R L"]:
        """‖θ_l‖ of every layer, weights and biases."""
        squares = [(p["w"] ** 2).sum(axis=(2, 3)) + (p["b"] ** 2).sum(axis=2) for p in self.params]
        return np.asarray(np.sqrt(np.stack(squares, axis=2)))

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """As :meth:`deepnets.Run.to_frame`, with the cost of each row."""
        frame = super().to_frame(units)
        frame.insert(1, "cost_forward_passes", np.repeat(self.cost, self.n_replicas))
        return frame

    @classmethod
    def of(cls, run: Run, settings: dict[str, object]) -> Relaxation:
        """A run read from a relaxation's files, whose settings are given."""
        about = settings.get("relaxation")
        if not isinstance(about, dict):
            raise ValueError("this is a training, not a relaxation: read it with deepnets.Run.load")
        kept = {f.name: getattr(run, f.name) for f in fields(Run)}
        return cls(**kept, method=method_from_settings(about["method"]), start_epoch=about["epoch"], seed=about["seed"])

    @classmethod
    def load(cls, path: str | Path, task: Task | None = None) -> Relaxation:
        """Read a relaxation that :func:`deepnets.relax` wrote; an unfinished one up to its last record.

        Raises
        ------
        ValueError
            As :meth:`deepnets.Run.load`, and if the directory holds a training.
        """
        return cls.of(Run.load(path, task), RunFiles(path).settings())
