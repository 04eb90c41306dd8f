"""The list of all quantities, and the words that their records are made of.

A quantity is one function with its record over it. Its needs are its parameters without default, under the names of
:mod:`ntkinfo.setting`; ``only`` says where it has a value, ``provided`` where that is more than an estimate. Tables, axis
labels and comparisons with finite networks read the record; no other place names a quantity.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from dualib.core.quantity import Registry
from dualib.core.typing import FloatArray

REGISTRY = Registry()

Function = TypeVar("Function", bound=Callable[..., Any])

Bound = tuple[FloatArray, FloatArray]
"""A bound with its rounding on its side, and how much of it is that rounding: inf where no bound can be had."""

_BOUNDS: dict[str, Callable[..., Bound]] = {}


def with_rounding(bound: Callable[..., Bound]) -> Callable[[Function], Function]:
    """Mark a quantity whose value has its rounding on its side already, so that no table need add it.

    `bound` takes the same arguments, and returns the value and how much of it is rounding.
    """

    def mark(function: Function) -> Function:
        _BOUNDS[function.__name__] = bound
        return function

    return mark


def has_rounding(name: str) -> bool:
    """Whether the quantity of that name was marked by :func:`with_rounding`.

    Examples
    --------
    >>> has_rounding("data_information_joint"), has_rounding("output_variance")
    (True, False)
    """
    return name in _BOUNDS


def bound_of(name: str) -> Callable[..., Bound]:
    """The function that gives a quantity marked by :func:`with_rounding` together with its rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from ntkinfo.laws import Marginals
    >>> prior, law = Marginals(np.zeros((1, 1)), np.ones(1)), Marginals(np.ones((1, 1)), np.ones(1))
    >>> value, rounding = bound_of("data_information")(law, prior)
    >>> float(value.round(6)), bool(rounding < 1e-14)
    (0.5, True)
    """
    return _BOUNDS[name]


_LOSSES: dict[str, Callable[..., FloatArray]] = {}


def with_loss(loss: Callable[..., FloatArray]) -> Callable[[Function], Function]:
    """Mark a quantity that may be far smaller than the numbers whose difference it is.

    `loss` takes the value and, by name, what it needs of the quantity's arguments; it returns the error of the difference, which no
    change of the law shows.
    """

    def mark(function: Function) -> Function:
        _LOSSES[function.__name__] = loss
        return function

    return mark


def loss_of(name: str) -> Callable[..., FloatArray] | None:
    """The function given to :func:`with_loss`; None for a quantity that is exact to a few ε of its own value.

    Examples
    --------
    >>> loss_of("output_variance") is None
    True
    """
    return _LOSSES.get(name)


class Group(StrEnum):
    """Quantities that belong together in a table or a panel; each group's informations have one unit.

    Examples
    --------
    >>> [group.name for group in Group]
    ['ERRORS', 'LIKELIHOODS', 'INPUTS', 'LABELS', 'DATA', 'PARAMETERS', 'RATES', 'PATHS']
    """

    ERRORS = "errors"
    LIKELIHOODS = "likelihoods"
    INPUTS = "inputs"
    LABELS = "labels"
    DATA = "data"
    PARAMETERS = "parameters"
    RATES = "rates"
    PATHS = "paths"


TITLES = {
    Group.ERRORS: "errors",
    Group.LIKELIHOODS: "negative log likelihood per point",
    Group.INPUTS: "about the inputs: I(Z;X|D)",
    Group.LABELS: "about the labels: I(Z;Y|D)",
    Group.DATA: "about the training data: I(z;D|x), I(z;Y|X,x)",
    Group.PARAMETERS: "in the parameters: I(θ;D), I(θ;Y|X)",
    Group.RATES: "rates in time",
    Group.PATHS: "distances and paths",
}


class DataSets(StrEnum):
    """For which data sets D a value holds.

    Examples
    --------
    >>> print(DataSets.MEAN)
    of this data set; a bound once averaged over data sets
    """

    ONE = "of this data set"
    MEAN = "of this data set; a bound once averaged over data sets"
    LABELS = "averaged over the training labels, given the training inputs"
    ANY = "of every data set with these training inputs"


class Condition(StrEnum):
    """What a setting may meet; the value is what is said of an estimate for which it is not met.

    Examples
    --------
    >>> print(Condition.GRADIENT_FLOW)
    the learning rule is not gradient flow
    """

    GRADIENT_FLOW = "the learning rule is not gradient flow"
    NO_RIDGE = "there is a ridge"
    ALL_LAYERS = "the last layer alone is trained"
    RANDOM_START = "the ensemble is centred"
    LINEAR = "this network is not linear in its parameters (K ≠ Θ): no bound for the network itself"
    THIRD_KERNEL = "the kernels come without Ω"
    ONE_OUTPUT = "there are several outputs"
    SEVERAL_OUTPUTS = "there is one output, for which the quadrature is exact"
    TEST_POINTS = "the kernels have no test points"
    FRESH_POINTS = "D was drawn with these points, which are no fresh draws given D: no bound for the population"
    TEST_COVARIANCES = "the kernels have the variances of the test points alone, without their covariances"
    CLEAN_OUTPUTS = "noise is added to the outputs"
    REAL_LABELS = "the labels are classes"
    CLASS_LABELS = "the labels are real numbers"
    HALVES = (
        "there are fewer than 2(k + 1) points to fit a decoder of k outputs on one half and evaluate it on the other"
    )
    KNOWN_ENTROPY = "H(Y) is replaced by the entropy of a Gaussian: a lower bound where Y is Gaussian"
