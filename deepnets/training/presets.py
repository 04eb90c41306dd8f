"""The experiments of the literature as settings: what ``deepnets train PRESET`` trains, in full and quickly.

The papers leave things open; what is chosen here is in the comments. Quick settings have fewer replicas and epochs, for a
first look within a minute or two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from deepnets.networks import Network
from deepnets.tasks import Task, icosahedral_task

WIDTHS = (12, 10, 7, 5, 4, 3, 2)
"""Of the networks of [shwartzziv2017]_: 12 inputs, hidden layers 10-7-5-4-3, two outputs."""


@dataclass(frozen=True)
class Preset:
    """One experiment.

    Attributes
    ----------
    paper : its key in references.bib, and what it is there.
    network : Network.
    training : arguments of :func:`deepnets.train`.
    quick : the arguments that differ in a quick run.
    """

    paper: str
    network: Network
    training: dict[str, Any]
    quick: dict[str, Any] = field(default_factory=dict)

    def task(self) -> Task:
        """The icosahedral task, without label noise: that of all three papers."""
        return icosahedral_task()

    def settings(self, full: bool, **changes: Any) -> dict[str, Any]:
        """Arguments of :func:`deepnets.train`; `changes` that are None change nothing."""
        chosen = {**self.training, **({} if full else self.quick)}
        return {**chosen, **{k: v for k, v in changes.items() if v is not None}}


_SZT = Preset(
    "[shwartzziv2017]_ figures 2 to 4",
    Network(WIDTHS),
    # The paper names SGD; its published code trains with Adam at 4e-4. Batches of 256; 80% of the patterns.
    {"replicas": 50, "epochs": 10_000, "optimiser": "adam", "learning_rate": 4e-4, "batch_size": 256,
     "train_fraction": 0.8, "snapshots": 100},
    {"replicas": 8, "epochs": 2_000, "snapshots": 40},
)  # fmt: skip

PRESETS = {
    "szt2017": _SZT,
    # The critics' network on the same task: units that do not saturate, everything else alike.
    "saxe2018": replace(_SZT, paper="[saxe2018]_ figure 1", network=Network(WIDTHS, "relu")),
    # Noise at every hidden layer; σ = 0.01 is within the paper's 0.005 to 0.1. Deeper layers cost a pass over all pairs
    # of passes, hence few replicas and snapshots.
    "goldfeld2019": replace(
        _SZT,
        paper="[goldfeld2019]_ section 5",
        network=Network(WIDTHS, noise_std=0.01),
        training={**_SZT.training, "replicas": 8, "snapshots": 40},
        quick={"replicas": 3, "epochs": 1_000, "snapshots": 12},
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises
    ------
    ValueError: there is none (the names are listed).
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
