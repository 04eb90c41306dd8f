"""Generalisation bounds, what they assume, and the risks that they are fed with."""

from ntkinfo.bounds.inequalities import (
    Bound,
    Subject,
    binary_kl_inverse,
    bu,
    catoni,
    conditional_mutual_information,
    finite_cells,
    input_compression,
    mcallester,
    seeger,
    xu_raginsky,
)
from ntkinfo.bounds.table import BoundsTable, ParameterModel, generalisation_bounds, linear_or_linearised
from ntkinfo.quantities.risks import clipped_square_risk, zero_one_risk

__all__ = [
    "Bound",
    "BoundsTable",
    "ParameterModel",
    "Subject",
    "binary_kl_inverse",
    "bu",
    "catoni",
    "clipped_square_risk",
    "conditional_mutual_information",
    "finite_cells",
    "generalisation_bounds",
    "input_compression",
    "linear_or_linearised",
    "mcallester",
    "seeger",
    "xu_raginsky",
    "zero_one_risk",
]
