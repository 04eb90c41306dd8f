"""Information planes: estimated, of several runs side by side, their clusters, and layers against the bottleneck."""

from deepnets.planes.bottleneck import (
    BottleneckFit,
    exact_curves,
    excess_rate,
    fit_beta,
    fit_random_encoder,
    fit_shared_beta,
    with_noisy_labels,
)
from deepnets.planes.clusters import ClusteringPath, clustering_paths
from deepnets.planes.estimate import Estimator, information_plane
from deepnets.planes.layers import LayersReport, layers_against_bottleneck
from deepnets.planes.plane import InformationPlane
from deepnets.planes.runs import RunComparison, compare_runs, input_compression_bound, twins

__all__ = [
    "BottleneckFit",
    "ClusteringPath",
    "Estimator",
    "InformationPlane",
    "LayersReport",
    "RunComparison",
    "clustering_paths",
    "compare_runs",
    "exact_curves",
    "excess_rate",
    "fit_beta",
    "fit_random_encoder",
    "fit_shared_beta",
    "information_plane",
    "input_compression_bound",
    "layers_against_bottleneck",
    "twins",
    "with_noisy_labels",
]
