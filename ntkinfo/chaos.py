r"""The third kernel Ω of dense networks, and with it the information in their parameters at infinite width.

The outputs at initialisation are functions of θ ~ N(0, I); their parts of Wiener-chaos degree q (of q-th order in θ) are
uncorrelated between degrees, with kernels K_q. Then

.. math:: K = \sum_q K_q, \qquad \Theta = \sum_q q K_q, \qquad \Omega = \sum_q q^2 K_q .

With correlation c between two copies of the parameters the outputs' covariance is K(c) = Σ c^q K_q, so that Θ = K'(1) and
Ω = K'(1) + K''(1). A layer maps K(c) to c [σ_w² F(K(c)) + σ_b²], where F(q) = E φ(u)φ(v) for u, v of covariance q; two
derivatives at c = 1 give the recursion, derived here,

.. math:: K^+ &= \sigma_w^2 F + \sigma_b^2, \qquad \Theta^+ = K^+ + \sigma_w^2 \dot K \Theta, \\
          \Omega^+ &= K^+ + \sigma_w^2 (2 \dot K \Theta + \ddot K \Theta^2 + \dot K \Omega)

(products elementwise), with \dot K = F' = E φ'φ' and \ddot K = F'' = E φ''φ'', from Ω = Θ = K at the first layer. A network
that is linear in its parameters has Ω = Θ = K.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ntkinfo import _arrays
from ntkinfo._arrays import FloatArray, positive
from ntkinfo._quantity import quantity
from ntkinfo.ensemble import Ensemble
from ntkinfo.kernels import Kernels
from ntkinfo.learning import GradientFlow
from ntkinfo.parameters import parameter_kl, parameter_kl_published

Expectations = Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""(var u, var v, cov) → (E φφ, E φ'φ', E φ''φ''), elementwise over arrays that broadcast."""


@dataclass(frozen=True, eq=False)
class ChaosKernels:
    """The kernels Θ and K, and the third kernel Ω.

    Attributes
    ----------
    kernels : Kernels, Θ and K.
    omega : array, shape (n, n).
    omega_test_train, omega_test : arrays, shapes (m, n) and (m, m), or None without test points.
    """

    kernels: Kernels
    omega: FloatArray
    omega_test_train: FloatArray | None = None
    omega_test: FloatArray | None = None


def chaos_kernels(
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    hidden_layers: int = 2,
    activation: str | Expectations = "erf",
    w_std: float = 1.5,
    b_std: float = 0.1,
) -> ChaosKernels:
    """Θ, K and Ω of a fully connected network (that of :func:`ntkinfo.mlp` with the same arguments) by recursion.

    Parameters
    ----------
    x_train, x_test : arrays, shapes (n, d) and (m, d).
    hidden_layers : int >= 0.
    activation : "erf", "sin", "cos", "gaussian" (e^{-x²/2}), "linear", "tanh" or "gelu"; or what :func:`polynomial` or
        :func:`smooth` returns.
    w_std, b_std : as of :func:`ntkinfo.mlp`.

    Returns
    -------
    ChaosKernels

    Raises
    ------
    ValueError: "relu", whose E φ''φ'' diverges on the diagonal; an unknown activation; inputs that do not match.

    References
    ----------
    derived here; K and Θ: [jacot2018]_, [lee2019]_
    """
    expectations = activation_expectations(activation)
    if int(hidden_layers) != hidden_layers or hidden_layers < 0:
        raise ValueError(f"hidden_layers must be a whole number >= 0, got {hidden_layers!r}")
    w2, b2 = positive("w_std", w_std) ** 2, positive("b_std", b_std, zero=True) ** 2
    x = _inputs("x_train", x_train)
    if x_test is not None:
        t = _inputs("x_test", x_test)
        if t.shape[1] != x.shape[1]:
            raise ValueError(f"x_test has shape {t.shape}, but x_train of shape {x.shape} has other features")
        x = np.concatenate([x, t])
    n = len(np.asarray(x_train))
    k = w2 * (x @ x.T) / x.shape[1] + b2
    theta = omega = k
    for _ in range(int(hidden_layers)):
        variance = np.diagonal(k)
        f, f1, f2 = expectations(variance[:, None], variance[None, :], k)
        k = w2 * f + b2
        omega = k + w2 * (2 * f1 * theta + f2 * theta**2 + f1 * omega)
        theta = k + w2 * f1 * theta
    blocks = [(0.5 * (a + a.T)) for a in (theta, k, omega)]
    train, cross, test = (
        (slice(None, n), slice(None, n)),
        (slice(n, None), slice(None, n)),
        (slice(n, None), slice(n, None)),
    )
    if x_test is None:
        return ChaosKernels(Kernels(blocks[0], blocks[1]), _arrays.read_only(blocks[2]))
    kernels = Kernels(*(a[part] for part in (train, cross, test) for a in blocks[:2]))
    return ChaosKernels(kernels, *(_arrays.read_only(blocks[2][part]) for part in (train, cross, test)))


def _inputs(name: str, value: ArrayLike) -> FloatArray:
    array = _arrays.as_float64(name, np.asarray(value, dtype=np.float64))
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (points, features), got {array.shape}")
    return array


# --- E φφ, E φ'φ', E φ''φ'' ---


def activation_expectations(activation: str | Expectations) -> Expectations:
    """The expectations of an activation by name; what :func:`polynomial` or :func:`smooth` returned goes through."""
    if callable(activation):
        return activation
    if activation == "relu":
        raise ValueError(
            "relu has no third kernel: E φ''(u)φ''(v) is the density of (u, v) at 0, which diverges where u = v, on the "
            "diagonal. Use a smooth activation (gelu), or the linearised parameter information"
        )
    known = {"erf": _erf, "sin": _sin, "cos": _cos, "gaussian": _gaussian, "linear": polynomial((0.0, 1.0))}
    if activation in known:
        return known[activation]
    if activation in ("tanh", "gelu"):
        return smooth(_by_jax(activation))
    raise ValueError(
        f"unknown activation {activation!r}: choose one of {', '.join(known)}, tanh, gelu, or give its expectations"
    )


def _erf(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    scale = (1 + 2 * a) * (1 + 2 * b)
    g = np.maximum(scale - 4 * q**2, 1.0)  # at least 1 + 2a + 2b
    return 2 / pi * np.arcsin(2 * q / np.sqrt(scale)), 4 / (pi * np.sqrt(g)), 16 / pi * q / g**1.5


def _sin(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    plus, minus = np.exp(q - (a + b) / 2) / 2, np.exp(-q - (a + b) / 2) / 2
    return plus - minus, plus + minus, plus - minus


def _cos(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    odd, even, _ = _sin(a, b, q)
    return even, odd, even


def _gaussian(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    g = (1 + a) * (1 + b) - q**2
    return g**-0.5, q * g**-1.5, g**-1.5 + 3 * q**2 * g**-2.5


def polynomial(coefficients: Sequence[float]) -> Expectations:
    r"""Expectations of φ(x) = Σ_k c_k x^k, exact: E φ(u)φ(v) = Σ_k (q^k/k!) E φ^{(k)}(u) E φ^{(k)}(v).

    Parameters
    ----------
    coefficients : c_0, c_1, ...
    """
    phi = np.polynomial.Polynomial(np.asarray(coefficients, dtype=np.float64))
    derivatives = [phi.deriv(k) if k else phi for k in range(phi.degree() + 1)]

    def mean(p: np.polynomial.Polynomial, variance: FloatArray) -> FloatArray:
        """E p(u), u ~ N(0, variance): E u^{2m} = (2m)!/(2^m m!) variance^m."""
        terms = ((float(c), i // 2) for i, c in enumerate(p.coef) if i % 2 == 0)
        return sum(
            (c * factorial(2 * m) / (2**m * factorial(m)) * variance**m for c, m in terms), np.zeros(np.shape(variance))
        )

    def expectations(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        products = [mean(p, a) * mean(p, b) for p in derivatives]

        def taken(times: int) -> FloatArray:
            terms = (q ** (k - times) / factorial(k - times) * m for k, m in enumerate(products) if k >= times)
            return sum(terms, np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(q))))

        return taken(0), taken(1), taken(2)

    return expectations


def smooth(derivatives: Sequence[Callable[[FloatArray], ArrayLike]], order: int = 120) -> Expectations:
    """Expectations of any smooth activation by the trapezoid rule in two dimensions, which converges exponentially for
    analytic functions.

    Parameters
    ----------
    derivatives : φ, φ' and φ'', each elementwise on arrays.
    order : nodes a dimension. Two thirds as many nodes have to agree to 1e-6 of the value on the diagonal;
        the error is then about the 3/2 power of that.

    Raises
    ------
    ValueError: (when evaluated) the quadrature has not converged: the activation is not smooth enough at these variances,
        or needs a higher order.
    """
    if len(derivatives) != 3 or order < 8:
        raise ValueError(
            f"give φ, φ' and φ'' and an order of at least 8, got {len(derivatives)} functions, order {order}"
        )

    def expectations(a: FloatArray, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        diagonal = np.unique(np.concatenate([np.ravel(a), np.ravel(b)]))
        fine = _quadrature(derivatives, diagonal, diagonal, diagonal, order)
        coarse = _quadrature(derivatives, diagonal, diagonal, diagonal, 2 * order // 3)
        error = max(float(np.abs(f - c).max() / np.abs(f).max()) for f, c in zip(fine, coarse, strict=True))
        if error > 1e-6:
            raise ValueError(
                f"the quadrature of order {order} and that of two thirds of it differ by {error:.1e} of the value at "
                f"variances up to {diagonal[-1]:.3g}: raise the order, or lower w_std"
            )
        rows = [_quadrature(derivatives, a[i], b[0], q[i], order) for i in range(q.shape[0])]
        return tuple(np.stack(part) for part in zip(*rows, strict=True))  # type: ignore[return-value]

    return expectations


def _quadrature(
    derivatives: Sequence[Callable[[FloatArray], ArrayLike]], a: FloatArray, b: FloatArray, q: FloatArray, order: int
) -> list[FloatArray]:
    """E f(u)f(v) of each function, vectors a, b, q, with u = √a z and v = (q/√a) z + √(b - q²/a) z'."""
    nodes = np.linspace(-8.5, 8.5, order)
    weights = np.exp(-0.5 * nodes**2)
    weights /= weights.sum()
    a, b, q = np.broadcast_arrays(a, b, q)
    root = np.sqrt(a)
    slope = np.divide(q, root, out=np.zeros(q.shape), where=root > 0)
    rest = np.sqrt(np.maximum(b - slope**2, 0.0))
    u = root[:, None] * nodes
    v = slope[:, None, None] * nodes[:, None] + rest[:, None, None] * nodes
    return [((np.asarray(f(u)) * (np.asarray(f(v)) @ weights)) @ weights) for f in derivatives]


def _by_jax(name: str) -> list[Callable[[FloatArray], Any]]:
    """φ, φ' and φ'' by automatic differentiation."""
    import jax
    import jax.numpy as jnp

    phi = {"tanh": jnp.tanh, "gelu": lambda x: jax.nn.gelu(x, approximate=False)}[name]
    first = jax.grad(phi)
    return [jax.jit(jnp.vectorize(f)) for f in (phi, first, jax.grad(first))]


# --- the information in the parameters ---


def infinite_width_terms(values: FloatArray, tau: float) -> tuple[FloatArray, FloatArray]:
    r"""∫_0^τ e^{-sλ_i} (1 - e^{-sλ_j})/λ_j ds of all pairs, and τλ - (1 - e^{-τλ}) of each eigenvalue.

    With x = τλ_i, y = τλ_j and h(x) = (1 - e^{-x})/x the first is τ² [h(x) - e^{-x} h(y)]/(x + y), which loses digits only
    where x + y is small; there it is τ² ∫_0^1 e^{-xs} s h(ys) ds, by Gauss-Legendre quadrature.
    """
    x = tau * values
    h = np.where(x > 0, -np.expm1(-x) / np.where(x > 0, x, 1.0), 1.0)
    total = x[:, None] + x
    wide = (h[:, None] - np.exp(-x)[:, None] * h) / np.where(total > 0, total, 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    s, weights = (nodes + 1) / 2, weights / 2
    small = np.minimum(x, 1.0)
    sx = small[:, None] * s
    inner = s * np.where(sx > 0, -np.expm1(-sx) / np.where(sx > 0, sx, 1.0), 1.0)
    narrow = (np.exp(-sx) * weights) @ inner.T
    series = x**2 * (1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x / 720))))
    gap = np.where(x < 5e-3, series, x + np.expm1(-x))
    return tau**2 * np.where(total < 1.0, narrow, wide), gap


@quantity("upper bound", "I(θ;D)", "infinite width, smooth activation; a bound on averaging over D", "derived here")
def parameter_kl_infinite_width(ensemble: Ensemble, tau: ArrayLike, omega: ArrayLike) -> FloatArray:
    r"""KL divergence of the trained parameters from the initial ones of an infinitely wide network, in nats.

    .. math:: k\left[\tau\,\mathrm{Tr}\,\Theta - \mathrm{Tr}(I - E)\right]
              + \int_0^\tau \mathrm{Tr}\left[(kK + YY^\top)\, e^{-s\Theta}\, \Omega\, A(s)\right] ds

    in closed form in the eigenbasis of Θ. The parameters' law is carried by the flow v = -Jᵀr, so that dKL/ds = E[-div v +
    θ·v]; in -div v = Tr Θ_s + Σ_i r_i Δ_θ z_i and θ·v = -Σ_i r_i θ·∇z_i the chaos of degree q of z_i has the eigenvalue
    -q under Δ_θ - θ·∇, and its correlation with what r_i has become is what Ω counts. With Ω = Θ it is
    :func:`ntkinfo.parameter_kl`, the linearised form.

    Parameters
    ----------
    ensemble : under gradient flow of all layers, without ridge, not centred.
    tau : float or array, >= 0.
    omega : array, shape (n, n): the third kernel on the training points, of :func:`chaos_kernels`.

    Returns
    -------
    array of the shape of `tau`; +inf at τ = ∞.

    Raises
    ------
    ValueError: another learning rule, ridge, mode or a centred ensemble; an Ω of another shape, or not Ω ⪰ Θ (which the
        two kernels of one network have).
    """
    _require_flow(ensemble)
    n, k = ensemble.n_train, ensemble.n_outputs
    third = _arrays.as_symmetric("omega", _arrays.as_shape("omega", omega, (n, n), f"ntk of shape ({n}, {n})"))
    try:
        _arrays.check_positive_semidefinite("omega - ntk", third - ensemble.kernels.ntk)
    except ValueError as error:
        raise ValueError(f"omega and ntk are not of one network, where Ω - Θ = Σ q(q-1) K_q: {error}") from None
    seen = ~ensemble._null
    v, values = ensemble.eigenvectors[:, seen], ensemble.eigenvalues[seen]
    power = k * ensemble.nngp_modes[np.ix_(seen, seen)] + ensemble.y_modes[seen] @ ensemble.y_modes[seen].T
    weight = power * (v.T @ third @ v)
    times = np.atleast_1d(_arrays.as_times(tau))
    found = np.empty(times.size)
    for i, t in enumerate(times):
        if np.isinf(t):
            found[i] = np.inf if values.size else 0.0
            continue
        integrals, gap = infinite_width_terms(values, float(t))
        found[i] = k * gap.sum() + (weight * integrals).sum()
    return found.reshape(np.shape(tau))


def parameter_information(
    ensemble: Ensemble,
    tau: ArrayLike,
    model: Literal["infinite-width", "linearised", "published"] = "linearised",
    omega: ArrayLike | None = None,
) -> FloatArray:
    """The information in the parameters, KL(p(θ_τ|D) ‖ p_0) ≥ I(θ_τ;D) on averaging over D, in nats.

    Parameters
    ----------
    model : "infinite-width", exact for infinitely wide networks of a smooth activation (needs `omega`):
        :func:`parameter_kl_infinite_width`; "linearised", exact for linear models: :func:`ntkinfo.parameter_kl`;
        "published", [shwartzziv2019]_ eq. 27, exact for neither: :func:`ntkinfo.parameter_kl_published`.
    omega : the third kernel on the training points, from :func:`chaos_kernels`.

    Raises
    ------
    ValueError: an unknown model, or omega missing where it is needed or given where it is not.
    """
    if model not in ("infinite-width", "linearised", "published"):
        raise ValueError(f'model must be "infinite-width", "linearised" or "published", got {model!r}')
    if (omega is not None) != (model == "infinite-width"):
        need = "needs omega, from ntkinfo.chaos_kernels" if omega is None else "has no third kernel: leave omega out"
        raise ValueError(f"model {model!r} {need}")
    if model == "infinite-width":
        return parameter_kl_infinite_width(ensemble, tau, omega)  # type: ignore[arg-type]
    return parameter_kl(ensemble, tau) if model == "linearised" else parameter_kl_published(ensemble, tau)


def _require_flow(ensemble: Ensemble) -> None:
    wrong = {
        "learning_rule": not isinstance(ensemble.learning_rule, GradientFlow),
        "ridge": ensemble.ridge != 0,
        "mode": ensemble.mode != "ntk",
        "centred": ensemble.centred,
    }
    if any(wrong.values()):
        names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
        raise ValueError(
            f"the infinite-width information in the parameters is known for gradient flow of all layers from a random start, "
            f"without ridge; this ensemble has another {names}"
        )
