"""The experiments of the literature as settings: what ``deepnets train PRESET`` trains, in full and quickly.

The papers leave things open; what is chosen here is in the comments. Quick settings have fewer replicas and epochs, for a
first look within a minute or two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deepnets.networks import Network
from deepnets.tasks import Task, icosahedral_task
from deepnets.training.settings import Training
from dualib.core.arrays import choice

WIDTHS = (12, 10, 7, 5, 4, 3, 2)
"""Of the networks of [shwartzziv2017]_: 12 inputs, hidden layers 10-7-5-4-3, two outputs."""


@dataclass(frozen=True)
class Preset:
    """One experiment.

    Attributes
    ----------
    paper : str
        Its key in references.bib, and what it is there.
    network : Network
    full, quick : Training
        At the paper's size, and for a first look.

    Examples
    --------
    >>> one = preset("szt2017")
    >>> one.full.replicas, one.quick.epochs
    (50, 2000)
    """

    paper: str
    network: Network
    full: Training
    quick: Training

    def task(self) -> Task:
        """The icosahedral task, without label noise: that of all three papers."""
        return icosahedral_task()


# The paper names SGD; its published code trains with Adam at 4e-4. Batches of 256; 80% of the patterns: the defaults.
_SZT = Training(epochs=10_000, replicas=50)
_SZT_QUICK = replace(_SZT, epochs=2_000, replicas=8, snapshots=40)

PRESETS = {
    "szt2017": Preset("[shwartzziv2017]_ figures 2 to 4", Network(WIDTHS), _SZT, _SZT_QUICK),
    # The critics' network on the same task: units that do not saturate, everything else alike.
    "saxe2018": Preset("[saxe2018]_ figure 1", Network(WIDTHS, "relu"), _SZT, _SZT_QUICK),
    # Noise at every hidden layer; σ = 0.01 is within the paper's 0.005 to 0.1. Deeper layers cost a pass over all pairs
    # of passes, hence few replicas and snapshots.
    "goldfeld2019": Preset(
        "[goldfeld2019]_ section 5",
        Network(WIDTHS, noise_std=0.01),
        replace(_SZT, replicas=8, snapshots=40),
        replace(_SZT, epochs=1_000, replicas=3, snapshots=12),
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises
    ------
    ValueError
        If there is none (the names are listed).

    Examples
    --------
    >>> preset("szt2017").network.widths
    (12, 10, 7, 5, 4, 3, 2)
    """
    return PRESETS[choice(name, "preset", PRESETS)]
