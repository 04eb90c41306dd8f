"""Closed-form information quantities of infinite ensembles of infinitely wide networks.

Importing this package turns JAX's 64-bit mode on, because spectra of kernels span more orders of magnitude than single
precision holds; the environment variable ``IB_NTK_X64=0`` turns that off. JAX itself, and neural-tangents, are imported
only when an architecture's kernels are asked for: kernels given as plain arrays need neither.

Values are in nats; units="bits" converts in tables, plots and on the command line.
"""

from __future__ import annotations

import os as _os
import sys as _sys

if _os.environ.get("IB_NTK_X64", "1") != "0":
    if "jax" in _sys.modules:
        _sys.modules["jax"].config.update("jax_enable_x64", True)
    else:
        _os.environ["JAX_ENABLE_X64"] = "1"

from ntkinfo import activations, adapters, bounds, datasets, kernels
from ntkinfo._quantity import Quantity, Relation, quantities
from ntkinfo.activations import Activation
from ntkinfo.architectures import Architecture, cnn, mlp
from ntkinfo.bounds.table import BoundsTable, ParameterModel, generalisation_bounds
from ntkinfo.chaos import (
    parameter_information,
    parameter_kl_infinite_width,
    parameter_kl_infinite_width_rate,
)
from ntkinfo.columns import Column
from ntkinfo.curve import InformationCurve
from ntkinfo.datasets import Dataset, digits, digits_parity, from_npz, gaussian_task
from ntkinfo.ensemble import Ensemble
from ntkinfo.evidence import Evidence, nngp_evidence
from ntkinfo.information_data import (
    data_information,
    data_information_joint,
    data_information_train,
    gaussian_label_information,
    gaussian_label_information_joint,
)
from ntkinfo.information_inputs import (
    input_information,
    input_information_infonce,
    input_information_kolchinsky_tracey_lower,
    input_information_kolchinsky_tracey_upper,
    input_information_leave_one_out,
    input_information_leave_one_out_sampled,
)
from ntkinfo.kernels import Kernels
from ntkinfo.labels import ClassLabelWarning, one_hot
from ntkinfo.laws import Law, Marginals, Spectrum
from ntkinfo.learning import (
    GradientDescent,
    GradientFlow,
    neural_tangents_from_tau,
    steps_from_tau,
    tau_from_neural_tangents,
    tau_from_steps,
)
from ntkinfo.modes import ModeTable, mode_table
from ntkinfo.parameters import (
    fisher_action,
    fisher_distance_squared,
    fisher_trace,
    fisher_trace_test,
    parameter_distance_squared,
    parameter_kl,
    parameter_kl_published,
    parameter_kl_rate,
    parameter_kl_ridge,
    parameter_kl_weight_noise,
    parameter_label_information,
    parameter_label_information_correlated,
    path_length_lower,
    path_length_upper,
    path_length_upper_modes,
)
from ntkinfo.plotting import plot_bounds, plot_information_plane, plot_loss, plot_mode_ledger, plot_quantities
from ntkinfo.predictive import (
    bayes_nll,
    bayes_nll_joint,
    class_entropy,
    degrees_of_freedom,
    ensemble_square_error,
    expected_optimism,
    expected_square_error,
    gaussian_plug_in_entropy,
    gibbs_nll,
    label_information_affine,
    label_information_best_noise,
    label_information_discrete,
    label_information_unit_noise,
)
from ntkinfo.tabulate import information_curve
from ntkinfo.times import default_times

kernels.neural_tangents.install()

__all__ = [
    "Activation",
    "Architecture",
    "BoundsTable",
    "ClassLabelWarning",
    "Column",
    "Dataset",
    "Ensemble",
    "Evidence",
    "GradientDescent",
    "GradientFlow",
    "InformationCurve",
    "Kernels",
    "Law",
    "Marginals",
    "ModeTable",
    "ParameterModel",
    "Quantity",
    "Relation",
    "Spectrum",
    "activations",
    "adapters",
    "bayes_nll",
    "bayes_nll_joint",
    "bounds",
    "class_entropy",
    "cnn",
    "data_information",
    "data_information_joint",
    "data_information_train",
    "datasets",
    "default_times",
    "degrees_of_freedom",
    "digits",
    "digits_parity",
    "ensemble_square_error",
    "expected_optimism",
    "expected_square_error",
    "fisher_action",
    "fisher_distance_squared",
    "fisher_trace",
    "fisher_trace_test",
    "from_npz",
    "gaussian_label_information",
    "gaussian_label_information_joint",
    "gaussian_plug_in_entropy",
    "gaussian_task",
    "generalisation_bounds",
    "gibbs_nll",
    "information_curve",
    "input_information",
    "input_information_infonce",
    "input_information_kolchinsky_tracey_lower",
    "input_information_kolchinsky_tracey_upper",
    "input_information_leave_one_out",
    "input_information_leave_one_out_sampled",
    "kernels",
    "label_information_affine",
    "label_information_best_noise",
    "label_information_discrete",
    "label_information_unit_noise",
    "mlp",
    "mode_table",
    "neural_tangents_from_tau",
    "nngp_evidence",
    "one_hot",
    "parameter_distance_squared",
    "parameter_information",
    "parameter_kl",
    "parameter_kl_infinite_width",
    "parameter_kl_infinite_width_rate",
    "parameter_kl_published",
    "parameter_kl_rate",
    "parameter_kl_ridge",
    "parameter_kl_weight_noise",
    "parameter_label_information",
    "parameter_label_information_correlated",
    "path_length_lower",
    "path_length_upper",
    "path_length_upper_modes",
    "plot_bounds",
    "plot_information_plane",
    "plot_loss",
    "plot_mode_ledger",
    "plot_quantities",
    "quantities",
    "steps_from_tau",
    "tau_from_neural_tangents",
    "tau_from_steps",
]
