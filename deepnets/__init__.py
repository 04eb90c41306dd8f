"""Finite networks, trained here, that the theories of dualib and ntkinfo are checked against.

Importing this package turns JAX's 64-bit mode on, in which information is computed; the environment variable
``IB_NTK_X64=0`` turns that off. Networks are trained in single precision unless they say otherwise.

Values are in nats; units="bits" converts in tables, plots and on the command line.
"""

from __future__ import annotations

import ntkinfo as _ntkinfo  # noqa: F401  (which turns JAX's 64-bit mode on)
from deepnets.estimators import (
    Binning,
    ConditionalPlugin,
    Estimate,
    LayerInformation,
    PairwiseBounds,
    Quadrature,
    RangeBinning,
    SmoothedPlugin,
)
from deepnets.gradients import GradientPhases, gradient_phases
from deepnets.networks import Network
from deepnets.planes import (
    BottleneckFit,
    ClusteringPath,
    InformationPlane,
    RunComparison,
    clustering_paths,
    compare_runs,
    exact_curves,
    excess_rate,
    fit_beta,
    fit_random_encoder,
    fit_shared_beta,
    information_plane,
    input_compression_bound,
)
from deepnets.recordings.recording import Recording
from deepnets.recordings.run import Run
from deepnets.tasks import Task, digits_task, icosahedral_task, regression_task, two_gaussians_task
from deepnets.training.settings import Loss, Optimiser, Training, snapshot_epochs
from deepnets.training.train import batches_of_epoch, train
from deepnets.widths.agreement import Comparison
from deepnets.widths.compare import compare_with_infinite_width

__all__ = [
    "Binning",
    "BottleneckFit",
    "ClusteringPath",
    "Comparison",
    "ConditionalPlugin",
    "Estimate",
    "GradientPhases",
    "InformationPlane",
    "LayerInformation",
    "Loss",
    "Network",
    "Optimiser",
    "PairwiseBounds",
    "Quadrature",
    "RangeBinning",
    "Recording",
    "Run",
    "RunComparison",
    "SmoothedPlugin",
    "Task",
    "Training",
    "batches_of_epoch",
    "clustering_paths",
    "compare_runs",
    "compare_with_infinite_width",
    "digits_task",
    "exact_curves",
    "excess_rate",
    "fit_beta",
    "fit_random_encoder",
    "fit_shared_beta",
    "gradient_phases",
    "icosahedral_task",
    "information_plane",
    "input_compression_bound",
    "regression_task",
    "snapshot_epochs",
    "train",
    "two_gaussians_task",
]
