from . import (
    activations,
    adapters,
    bounds,
    datasets,
    finite_width,
    kernels,
    learning,
    plotting,
    quantities,
    resources,
    stax,
    symbolic,
)
from .activations import Activation
from .architectures import Architecture, cnn, mlp
from .bounds import BoundsTable, generalisation_bounds
from .datasets import Dataset, digits_parity, from_npz, gaussian_task
from .ensemble import Ensemble
from .kernels import Kernels
from .laws import Law, Marginals
from .learning import GradientDescent, GradientFlow
from .modes import ModeTable, mode_table
from .timelines import Timeline, timeline

__all__ = [
    "Activation",
    "Architecture",
    "BoundsTable",
    "Dataset",
    "Ensemble",
    "GradientDescent",
    "GradientFlow",
    "Kernels",
    "Law",
    "Marginals",
    "ModeTable",
    "Timeline",
    "activations",
    "adapters",
    "bounds",
    "cnn",
    "datasets",
    "digits_parity",
    "finite_width",
    "from_npz",
    "gaussian_task",
    "generalisation_bounds",
    "kernels",
    "learning",
    "mlp",
    "mode_table",
    "plotting",
    "quantities",
    "resources",
    "stax",
    "symbolic",
    "timeline",
]
