"""Activations and the list of them: an entry gives kernels, third kernels and finite networks.

A new activation is one entry, here or in a program of one's own::

    register(Activation.smooth(lambda x: x * jax.nn.sigmoid(x), name="swish"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt

import numpy as np

from ntkinfo.activations import closed_forms
from ntkinfo.activations.arrays import Array, namespace, special
from ntkinfo.activations.closed_forms import Expectations, Function
from ntkinfo.activations.families import of_tanh, polynomial, times_gaussian
from ntkinfo.activations.hermite import check_derivatives, differentiated, series


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation φ with what infinitely wide and finite networks need of it.

    Attributes
    ----------
    name : str
    derivatives : tuple of functions
        φ, φ', and unless φ has a kink φ'' and as many more as are at hand; elementwise on arrays of NumPy (float64) and of JAX.
    expectations : (a, b, q) -> (E φφ, E φ'φ', E φ''φ'')
        Gaussian expectations at variances a, b and covariance q, elementwise over arrays that broadcast.
    saturates : bool
        Whether φ has a limit at both ends.
    is_smooth : bool
        Whether φ has derivatives of every order.

    Raises
    ------
    ValueError
        If there are fewer than two derivatives.

    Examples
    --------
    >>> round(float(Activation.named("erf").phi(0.5)), 6)
    0.5205
    """

    name: str
    derivatives: tuple[Function, ...]
    expectations: Expectations
    saturates: bool = False
    is_smooth: bool = True

    def __post_init__(self) -> None:
        if len(self.derivatives) < 2:
            raise ValueError(f"{self.name} needs at least φ and φ', got {len(self.derivatives)} functions")

    @property
    def phi(self) -> Function:
        """φ itself."""
        return self.derivatives[0]

    @property
    def first(self) -> Function:
        """The derivative φ'."""
        return self.derivatives[1]

    @property
    def second(self) -> Function:
        """The second derivative φ''; refused, as by :meth:`derivative`, where φ has a kink."""
        return self.derivative(2)

    @property
    def has_third_kernel(self) -> bool:
        """Whether E φ''(u)φ''(v) is finite where u = v, so that the third kernel Ω exists."""
        return self.is_smooth or len(self.derivatives) > 2

    def derivative(self, order: int) -> Function:
        """φ differentiated `order` times, beyond the given derivatives by JAX.

        Raises
        ------
        ValueError
            If φ is not that smooth, or JAX cannot differentiate it.
        """
        given = len(self.derivatives)
        if order >= given and not self.is_smooth:
            raise ValueError(
                f"{self.name} has a kink and no derivative of order {order}: use a smooth activation such as gelu"
            )
        return self.derivatives[order] if order < given else differentiated(self.derivatives[-1], order - given + 1)

    def require_third_kernel(self) -> None:
        """Refuse an activation without third kernel.

        Raises
        ------
        ValueError
            The message gives the reason, and what to use in its place.
        """
        if not self.has_third_kernel:
            raise ValueError(
                f"{self.name} has no third kernel: E φ''(u)φ''(v) is the density of (u, v) at its kink, which diverges where "
                "u = v, on the diagonal. Use a smooth activation (gelu), or the linearised parameter information"
            )

    @classmethod
    def named(cls, activation: str | Activation) -> Activation:
        """The activation of that name in the list; an activation goes through.

        Raises
        ------
        ValueError
            If there is no such name (the message lists all).
        """
        if isinstance(activation, Activation):
            return activation
        if activation not in _LIST:
            raise ValueError(
                f"unknown activation {activation!r}: choose one of {', '.join(_LIST)}, or give an Activation"
            )
        return _LIST[activation]

    @classmethod
    def smooth(
        cls,
        phi: Function | Sequence[Function],
        *,
        name: str = "smooth",
        saturates: bool = False,
        max_degree: int = 2048,
    ) -> Activation:
        """Any smooth activation, its expectations by Hermite series (:mod:`ntkinfo.activations.hermite`).

        Parameters
        ----------
        phi : function, or three functions or more
            φ written in ``jax.numpy``, which is differentiated automatically; or φ, φ', φ'' and as many further derivatives as are
            at hand, on float64 arrays. Corrections of finite width take five; what is not given is differentiated by JAX.
        name : str
        saturates : bool
        max_degree : int
            The highest degree of the series. Large variances need high degrees: a thousand for tanh at variances near 20.

        Raises
        ------
        ValueError
            If the functions are not each other's derivatives (with the place and both numbers), or JAX cannot differentiate φ;
            and, when evaluated, if the series has not converged (with the part left out): φ has a kink, or the variances are
            too large.
        TypeError
            If the functions give single precision.

        Examples
        --------
        >>> import numpy as np
        >>> from ntkinfo.activations import Activation
        >>> sine = Activation.smooth((np.sin, np.cos, lambda x: -np.sin(x)))
        >>> product, slopes, _ = sine.expectations(1.0, 1.0, 0.5)
        >>> round(float(product), 6), round(float(slopes), 6)
        (0.1917, 0.41483)

        References
        ----------
        [daniely2016]_
        """
        functions = tuple(differentiated(phi, k) for k in range(3)) if callable(phi) else tuple(phi)
        if len(functions) < 3:
            raise ValueError(f"give φ, φ' and φ'', or φ alone written in jax.numpy; got {len(functions)} functions")
        if max_degree < 1:
            raise ValueError(f"max_degree must be at least 1, got {max_degree}")
        check_derivatives(functions)
        return cls(name, functions, series(functions[:3], max_degree), saturates=saturates)

    @classmethod
    def polynomial(cls, coefficients: Sequence[float], *, name: str = "polynomial") -> Activation:
        """The polynomial φ(x) = Σ_k c_k x^k, its expectations exact.

        Parameters
        ----------
        coefficients : sequence of float
            c_0, c_1, ...
        name : str
        """
        from numpy.polynomial.polynomial import polyder

        given = np.asarray(coefficients, dtype=np.float64)
        functions = tuple(partial(polynomial, coefficients=polyder(given, k).tolist()) for k in range(6))
        return cls(name, functions, closed_forms.polynomial(given.tolist()))

    @classmethod
    def leaky_relu(cls, slope: float, *, name: str = "leaky_relu") -> Activation:
        """φ(x) = x above 0 and slope·x below; slope 0 is relu, -1 the absolute value."""

        def phi(x: Array) -> Array:
            return namespace(x).where(x > 0, x, slope * x)

        def first(x: Array) -> Array:
            xp = namespace(x)
            return xp.where(x > 0, xp.ones_like(x), slope)  # of the precision of x

        return cls(name, (phi, first), closed_forms.leaky_relu(slope), is_smooth=False)


_LIST: dict[str, Activation] = {}


def register(activation: Activation) -> Activation:
    """Put an activation on the list, where every part of the project finds it by its name.

    Raises
    ------
    ValueError
        If another activation has that name.

    Examples
    --------
    >>> import jax  # doctest: +SKIP
    >>> from ntkinfo import Activation
    >>> register(Activation.smooth(lambda x: x * jax.nn.sigmoid(x), name="swish"))  # doctest: +SKIP
    """
    if activation.name in _LIST:
        raise ValueError(f"there is an activation {activation.name!r} already: choose another name")
    _LIST[activation.name] = activation
    return activation


def names() -> tuple[str, ...]:
    """The names on the list, in the order of registration.

    Examples
    --------
    >>> "erf" in names()
    True
    """
    return tuple(_LIST)


# --- the list ---


def _density(x: Array) -> Array:
    """The density of N(0, 1)."""
    return namespace(x).exp(-0.5 * x * x) / sqrt(2 * pi)


def _tanh(x: Array) -> Array:
    return namespace(x).tanh(x)


def _sech2(x: Array) -> Array:
    """1 - tanh² x, the derivative of tanh."""
    return (1 - _tanh(x)) * (1 + _tanh(x))


def _sin(x: Array) -> Array:
    return namespace(x).sin(x)


def _cos(x: Array) -> Array:
    return namespace(x).cos(x)


def _sigmoid(x: Array) -> Array:
    return 0.5 + 0.5 * _tanh(0.5 * x)


def _logistic_density(x: Array) -> Array:
    return 0.25 * _sech2(0.5 * x)


def _logistic_slope(x: Array) -> Array:
    return -0.25 * _sech2(0.5 * x) * _tanh(0.5 * x)


register(
    Activation(
        "erf",
        (
            lambda x: special(x).erf(x),
            lambda x: 2 / sqrt(pi) * namespace(x).exp(-x * x),
            lambda x: -4 / sqrt(pi) * x * namespace(x).exp(-x * x),
            *(times_gaussian((2 / sqrt(pi),), 1.0, order) for order in (2, 3, 4)),
        ),
        closed_forms.erf,
        saturates=True,
    )
)
register(
    Activation.smooth(
        (_tanh, _sech2, lambda x: -2 * _sech2(x) * _tanh(x), *(of_tanh((0.0, 1.0), 1.0, order) for order in (3, 4, 5))),
        name="tanh",
        max_degree=2**14,  # its poles are at ±iπ/2: at variance v it takes some 130 v degrees
        saturates=True,
    )
)
register(Activation.leaky_relu(0.0, name="relu"))
register(Activation.leaky_relu(0.01))
register(
    Activation(
        "gelu",
        (
            lambda x: 0.5 * x * special(x).erfc(-sqrt(0.5) * x),
            lambda x: special(x).ndtr(x) + x * _density(x),
            lambda x: (2 - x * x) * _density(x),
            *(times_gaussian((2 / sqrt(2 * pi), 0.0, -1 / sqrt(2 * pi)), 0.5, order) for order in (1, 2, 3)),
        ),
        closed_forms.gelu,
    )
)
register(
    Activation(
        "sin",
        (_sin, _cos, lambda x: -_sin(x), lambda x: -_cos(x), _sin, _cos),
        closed_forms.sin,
    )
)
register(
    Activation(
        "cos",
        (_cos, lambda x: -_sin(x), lambda x: -_cos(x), _sin, _cos, lambda x: -_sin(x)),
        closed_forms.cos,
    )
)
register(
    Activation(
        "gaussian",
        (
            lambda x: namespace(x).exp(-0.5 * x * x),
            lambda x: -x * namespace(x).exp(-0.5 * x * x),
            lambda x: (x * x - 1) * namespace(x).exp(-0.5 * x * x),
            *(times_gaussian((1.0,), 0.5, order) for order in (3, 4, 5)),
        ),
        closed_forms.gaussian,
        saturates=True,
    )
)
register(
    Activation(
        "linear",
        (lambda x: x, lambda x: namespace(x).ones_like(x), *[lambda x: namespace(x).zeros_like(x)] * 4),
        closed_forms.polynomial((0.0, 1.0)),
    )
)
_SIGMOID = (_sigmoid, _logistic_density, _logistic_slope, *(of_tanh((0.5, 0.5), 0.5, order) for order in (3, 4, 5)))
register(Activation.smooth(_SIGMOID, name="sigmoid", saturates=True))
register(Activation.smooth((lambda x: namespace(x).logaddexp(x, 0.0), *_SIGMOID[:5]), name="softplus"))
