"""What an estimator returns: I(X;T) and I(T;Y) of one layer, and what a reader of the two has to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dualib.core.estimate import Estimate
from dualib.core.result import Result
from dualib.core.units import Units

Z_95 = 1.959963984540054
"""Half-width of the central 95 % of the standard normal law, in standard deviations."""


class Side(StrEnum):
    """The two axes of the information plane.

    Examples
    --------
    >>> print(*Side)
    I(X;T) I(T;Y)
    """

    RATE = "I(X;T)"
    RELEVANCE = "I(T;Y)"


class Concern(StrEnum):
    """What a caution is about.

    Examples
    --------
    >>> [concern.name for concern in Concern]
    ['CELLS', 'SEPARATED', 'ALONE', 'PASSES', 'SAMPLES', 'RESOLUTION']
    """

    CELLS = "the value belongs to the cells"
    SEPARATED = "most patterns have a cell of their own"
    ALONE = "samples are alone in their cells"
    PASSES = "few passes"
    SAMPLES = "few samples"
    RESOLUTION = "most units keep to one cell"


@dataclass(frozen=True)
class Caution(Result):
    """What a reader of an estimate has to know.

    Attributes
    ----------
    concern : Concern
    amount : float
        How bad it is; cautions of one concern are ordered by it.
    text : str
        The sentence, its numbers included.

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> t, law = np.array([[-0.9], [-0.3], [0.3], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> [caution.concern.name for caution in deepnets.Binning(100).layer(t, law).cautions]
    ['CELLS', 'SEPARATED']
    """

    concern: Concern
    amount: float
    text: str


@dataclass(frozen=True)
class LayerInformation(Result):
    """I(X;T) and I(T;Y) of one layer, in nats.

    Attributes
    ----------
    rate : Estimate
        Of I(X;T).
    relevance : Estimate
        Of I(T;Y); neither its value nor its upper end exceeds those of the rate.
    cautions : tuple of Caution
        What the warnings of the two are made from.

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> found = deepnets.Binning(4).layer(t, law)
    >>> round(found.rate.value, 6), round(found.relevance.value, 6)  # two cells: log 2 both
    (0.693147, 0.693147)
    """

    rate: Estimate
    relevance: Estimate
    cautions: tuple[Caution, ...] = ()

    @classmethod
    def of(
        cls,
        estimates: Iterable[Estimate],
        of_rate: Sequence[Caution] = (),
        of_relevance: Sequence[Caution] = (),
    ) -> LayerInformation:
        """Rate and relevance with their cautions, the relevance kept at most the rate in value and upper end.

        Y – X – T is a Markov chain, so that I(T;Y) ≤ I(X;T) ([cover2006]_ theorem 2.8.1): where the interval of the rate
        holds the rate, the cut interval of the relevance still holds the relevance if the whole one does.
        """
        rate, relevance = estimates
        value, high = min(relevance.value, rate.value), min(relevance.high, rate.high)
        relevance = replace(relevance, value=value, low=min(relevance.low, value), high=high)
        return cls(
            rate.with_warnings(*(c.text for c in of_rate)),
            relevance.with_warnings(*(c.text for c in of_relevance)),
            (*of_rate, *of_relevance),
        )

    def describe(self, units: Units = "bits") -> str:
        """Both estimates, in words."""
        return f"{Side.RATE} = {self.rate.describe(units)}\n{Side.RELEVANCE} = {self.relevance.describe(units)}"


@dataclass(frozen=True)
class Violation(Result):
    """Two neighbouring layers whose estimates break the data processing inequality.

    Attributes
    ----------
    layer : int
        Index of the later layer, whose information should be at most the earlier one's.
    quantity : Side
    excess : float
        Later minus earlier value, in nats, positive.
    beyond_intervals : bool
        Whether the intervals of the two do not meet, so that their error does not explain it.

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> fine, coarse = deepnets.Binning(4), deepnets.Binning(2)
    >>> found = dpi_violations([coarse.layer(0 * t, law), fine.layer(t, law)])
    >>> [(one.layer, one.quantity.name) for one in found]
    [(1, 'RATE'), (1, 'RELEVANCE')]
    """

    layer: int
    quantity: Side
    excess: float
    beyond_intervals: bool

    def __str__(self) -> str:
        certain = "their intervals do not meet" if self.beyond_intervals else "within their intervals"
        return (
            f"{self.quantity} rises by {self.excess:.3g} nats from layer {self.layer - 1} to layer {self.layer} "
            f"({certain}): the data processing inequality forbids that of the informations, not of these estimates"
        )


def dpi_violations(layers: Sequence[LayerInformation], tolerance: float = 1e-9) -> tuple[Violation, ...]:
    r"""Where estimates break the data processing inequality along the layers.

    For T_1, T_2, … each computed from the one before, :math:`I(X;T_{l+1}) \le I(X;T_l)` and
    :math:`I(T_{l+1};Y) \le I(T_l;Y)`. Binned values can break both, as the binned T_{l+1} is no function of the binned T_l.

    Parameters
    ----------
    layers : sequence of LayerInformation
        First layer first.
    tolerance : float
        Rises up to this many nats are rounding.

    Returns
    -------
    tuple of Violation
        In the order of the layers.

    References
    ----------
    [cover2006]_ theorem 2.8.1; [saxe2018]_

    Examples
    --------
    >>> import numpy as np
    >>> import deepnets
    >>> t, law = np.array([[-0.5], [-0.4], [0.8], [0.9]]), np.eye(2)[[0, 0, 1, 1]]
    >>> layers = [deepnets.Binning(4).layer(t, law), deepnets.Binning(4).layer(0 * t, law)]
    >>> dpi_violations(layers)  # the second knows less: nothing is broken
    ()
    """
    found = []
    for index in range(1, len(layers)):
        earlier, later = layers[index - 1], layers[index]
        for side, before, after in (
            (Side.RATE, earlier.rate, later.rate),
            (Side.RELEVANCE, earlier.relevance, later.relevance),
        ):
            excess = after.value - before.value
            if excess > tolerance:
                found.append(Violation(index, side, excess, after.low > before.high))
    return tuple(found)


def intersect(low: float, high: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """A statistical interval cut to proven bounds; the bounds themselves where the two do not meet."""
    if low > bounds[1] or high < bounds[0]:
        return bounds
    return max(low, bounds[0]), min(high, bounds[1])
