"""Finite networks, trained here, that the theories of dualib and ntkinfo are checked against.

Importing this package turns JAX's 64-bit mode on, in which information is computed; the environment variable
``IB_NTK_X64=0`` turns that off. Networks are trained in single precision unless they say otherwise. JAX itself is imported
with the first network that is run.

Values are in nats; units="bits" converts in tables, plots and on the command line.
"""

from __future__ import annotations

import ntkinfo as _ntkinfo  # noqa: F401  (which turns JAX's 64-bit mode on)
from deepnets.compare import Comparison, compare_with_infinite_width
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
from deepnets.recordings import Recording
from deepnets.runs import Run
from deepnets.tasks import Task, digits_task, icosahedral_task, regression_task, two_gaussians_task
from deepnets.training import snapshot_epochs, train

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
    "Network",
    "PairwiseBounds",
    "Quadrature",
    "RangeBinning",
    "Recording",
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
    "gradient_phases",
    "icosahedral_task",
    "information_plane",
    "input_compression_bound",
    "regression_task",
    "snapshot_epochs",
    "train",
    "two_gaussians_task",
]
