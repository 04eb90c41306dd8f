"""How the hidden layers of several trainings cluster as they go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepnets.estimators import Binning, clustering
from deepnets.planes.source import Source
from deepnets.recordings.recording import Recording
from dualib.core.progress import progress_bar
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, Int
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ClusteringPath(Result):
    """How the hidden layers of one run cluster as training goes.

    Attributes
    ----------
    epochs : int array, shape (S,)
    replicas : int array, shape (R,)
    layers : tuple of str
        Names of the L hidden layers.
    binned_entropy : array, shape (R, S, L)
        H(Bin(T)), nats; T with its noise, if there is any.
    within, between : array, shape (R, S, L)
        Mean distance of two patterns of equal, and of different, label, in units of the activations.
    edges : tuple
        How many edges the cells have, and from where to where: (count, low, high).

    Examples
    --------
    >>> (path,) = clustering_paths([recorded], replicas=[0], epochs=[1, 10], progress=False)
    >>> path.epochs, path.layers
    (array([ 1, 10]), ('hidden',))
    """

    epochs: Int[np.ndarray, " S"]
    replicas: Int[np.ndarray, " R"]
    layers: tuple[str, ...]
    binned_entropy: Float[np.ndarray, "R S L"]
    within: Float[np.ndarray, "R S L"]
    between: Float[np.ndarray, "R S L"]
    edges: tuple[int, float, float]

    def to_frame(self, units: Units = "bits") -> pd.DataFrame:
        """One row a replica, snapshot and layer."""
        import pandas as pd

        r, s, j = np.indices(self.within.shape).reshape(3, -1)
        place: dict[str, np.ndarray] = {
            "replica": self.replicas[r],
            "epoch": self.epochs[s],
            "layer": np.asarray(self.layers)[j],
        }
        distances = {"within_distance": self.within.ravel(), "between_distance": self.between.ravel()}
        return pd.DataFrame(
            {**place, f"binned_entropy_{units}": to_units(self.binned_entropy.ravel(), units), **distances}
        )


def clustering_paths(
    runs: Sequence[Recording],
    *,
    labels: ArrayLike | None = None,
    replicas: Sequence[int] | NDArray[np.integer],
    epochs: Sequence[int] | NDArray[np.integer],
    bins: int = 30,
    seed: int = 0,
    progress: bool | None = None,
) -> list[ClusteringPath]:
    """Clustering measures of trainings that are to be compared: the same replicas, nearest epochs and cells in all.

    Parameters
    ----------
    runs : sequence of Recording
        Such as a noisy network and its deterministic twin, of as many hidden layers: runs of this package, or recordings.
    labels : array, shape (n,) or (n, k), or None
        Classes of the patterns, or their law p(y|x), to take in place of the recordings'.
    replicas, epochs : sequence of int
        At which; each run at its snapshots nearest to those epochs.
    bins : int
        Edges between the least and the largest hidden activation of all the runs there.
    seed : int
        Seed of the noise.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    list of ClusteringPath
        One a run.

    Raises
    ------
    ValueError
        If there are no runs, replicas, epochs or hidden layers, or a replica is not in all runs.

    Examples
    --------
    >>> (path,) = clustering_paths([recorded], replicas=[0], epochs=[1, 10], progress=False)
    >>> path.binned_entropy.shape  # replica, snapshot, layer
    (1, 2, 1)
    """
    chosen = np.asarray(replicas, dtype=np.int64)
    if not runs or chosen.size == 0 or len(epochs) == 0:
        raise ValueError("give at least one run, replica and epoch")
    if chosen.min() < 0 or chosen.max() >= min(run.n_replicas for run in runs):
        raise ValueError(f"replicas {chosen.tolist()} are not all in every run")
    sources = [Source.of(run, labels) for run in runs]
    if any(source.hidden_layers < 1 for source in sources):
        raise ValueError("a network without hidden layers has nothing that clusters")
    times = [np.unique([np.abs(run.epochs - e).argmin() for e in epochs]) for run in runs]

    def hidden(source: Source, snapshot: int, replica: int) -> list[NDArray[np.floating]]:
        noise = seed + replica * len(source.recording.epochs) + snapshot if source.noise_std else None
        return source.activations(snapshot, replica, noise_seed=noise)[: source.hidden_layers]

    ends = [
        (float(t.min()), float(t.max()))
        for source, at in zip(sources, times, strict=True)
        for r in chosen
        for s in at
        for t in hidden(source, int(s), int(r))
    ]
    binning = Binning(bins, min(low for low, _ in ends), max(high for _, high in ends))
    paths = []
    with progress_bar(len(chosen) * sum(map(len, times)), "clustering", progress) as done:
        for source, at in zip(sources, times, strict=True):
            names = source.layers[: source.hidden_layers]
            values = np.empty((3, len(chosen), len(at), len(names)))
            for i, r in enumerate(chosen):
                for j, s in enumerate(at):
                    for k, t in enumerate(hidden(source, int(s), int(r))):
                        found = clustering(t, source.task.p_y_given_x, source.task.p_x, binning)
                        values[:, i, j, k] = found.binned_entropy, found.within_mean, found.between_mean
                    done(1)
            cells = (bins, binning.low, binning.high)
            kept = source.recording.epochs[at]
            paths.append(ClusteringPath(kept, chosen, names, values[0], values[1], values[2], cells))
    return paths
