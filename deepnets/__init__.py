"""Finite networks, trained here, that the theories of dualib and ntkinfo are checked against.

Importing this package turns JAX's 64-bit mode on, in which information is computed; the environment variable
``IB_NTK_X64=0`` turns that off. Networks are trained in single precision unless they say otherwise. JAX itself is imported
with the first network that is run.

Values are in nats; units="bits" converts in tables, plots and on the command line.
"""

from __future__ import annotations

import ntkinfo as _ntkinfo  # noqa: F401  (which turns JAX's 64-bit mode on)
from deepnets.bottleneck_fit import (
    BottleneckFit,
    exact_curves,
    excess_rate,
    fit_beta,
    fit_random_encoder,
    fit_shared_beta,
)
from deepnets.estimators import (
    Binning,
    ConditionalPlugin,
    Estimate,
    LayerInformation,
    PairwiseBounds,
    Quadrature,
    SmoothedPlugin,
)
from deepnets.networks import Network
from deepnets.recordings.run import Run
from deepnets.run_comparison import (
    ClusteringPath,
    RunComparison,
    clustering_paths,
    compare_runs,
    input_compression_bound,
)
from deepnets.tasks import Task, digits_task, gaussian_task, icosahedral_task, regression_task
from deepnets.training.train import snapshot_epochs, train
from deepnets.trajectory import InformationPlane, RangeBinning, information_plane
from deepnets.widths.compare import Comparison, compare_with_infinite_width

__all__ = [
    "Binning",
    "BottleneckFit",
    "ClusteringPath",
    "Comparison",
    "ConditionalPlugin",
    "Estimate",
    "InformationPlane",
    "LayerInformation",
    "Network",
    "PairwiseBounds",
    "Quadrature",
    "RangeBinning",
    "Run",
    "RunComparison",
    "SmoothedPlugin",
    "Task",
    "clustering_paths",
    "compare_runs",
    "compare_with_infinite_width",
    "digits_task",
    "exact_curves",
    "excess_rate",
    "fit_beta",
    "fit_random_encoder",
    "fit_shared_beta",
    "gaussian_task",
    "icosahedral_task",
    "information_plane",
    "input_compression_bound",
    "regression_task",
    "snapshot_epochs",
    "train",
]
