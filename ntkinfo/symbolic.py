r"""The formulas for one and two modes in sympy: readable derivations, limits, LaTeX, and an oracle that shares no code with the rest.

Everything is built from matrices (or, for the parameters, from the KL of Gaussians in parameter space), not from the
formulas that the numerical modules use. Gradient flow, one output. Symbols: ``lam`` eigenvalues of Θ, ``kappa`` entries
of K in its eigenbasis, ``y`` labels, ``tau`` time, ``s2`` the label noise, ``theta_x, k_x, k_xx`` one test point's
kernels.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from dualib.core.extras import extra

if TYPE_CHECKING:
    import sympy
    from sympy import Expr, Matrix


@dataclass(frozen=True)
class Modes:
    """Symbols and formulas of an ensemble with one or two modes.

    Attributes
    ----------
    symbols : dict
        Name → symbol (``lam1``, ``kappa11``, ``y1``, ``theta_x1``, ``k_x1``, ..., ``tau``, ``s2``, ``k_xx``).
    formulas : dict
        Name of the package's function → expression, in nats where it is an information.

    Examples
    --------
    >>> modes = one_mode()  # doctest: +SKIP
    >>> sorted(modes.symbols)  # doctest: +SKIP
    ['k_x1', 'k_xx', 'kappa11', 'lam1', 's2', 'tau', 'theta_x1', 'y1']
    """

    symbols: dict[str, sympy.Symbol]
    formulas: dict[str, Expr]

    def limit(self, name: str, tau: str) -> Expr:
        """The limit of formula `name` as τ → 0 (``tau="0"``) or τ → ∞ (``tau="oo"``)."""
        sympy = sympy_module()
        if tau not in ("0", "oo"):
            raise ValueError(f'tau must be "0" or "oo", got {tau!r}')
        point = sympy.oo if tau == "oo" else sympy.Integer(0)
        return sympy.limit(sympy.expand(self._formula(name)), self.symbols["tau"], point, "+" if tau == "0" else "-")

    def leading(self, name: str) -> Expr:
        """The leading term of formula `name` as τ → 0."""
        return self._formula(name).series(self.symbols["tau"], 0, 4).removeO().as_leading_term(self.symbols["tau"])

    def latex(self, name: str) -> str:
        """Formula `name` as LaTeX."""
        return str(sympy_module().latex(self._formula(name)))

    def value(self, name: str, digits: int = 30, **values: float) -> float:
        """Formula `name` at numbers for all of its symbols, evaluated with `digits` digits."""
        sympy = sympy_module()
        substitutions = {self.symbols[key]: sympy.Float(value, digits) for key, value in values.items()}
        return float(self._formula(name).evalf(digits, subs=substitutions))

    def _formula(self, name: str) -> Expr:
        if name not in self.formulas:
            raise ValueError(f"no formula {name!r}; there are {', '.join(sorted(self.formulas))}")
        return self.formulas[name]


def sympy_module() -> ModuleType:
    """Sympy, or an ImportError that says how to install it.

    Examples
    --------
    >>> sympy_module().__name__  # doctest: +SKIP
    'sympy'
    """
    with extra("networks", "the symbolic formulas need sympy"):
        return importlib.import_module("sympy")


def one_mode() -> Modes:
    """An ensemble on one training point, and one test point.

    Examples
    --------
    >>> modes = one_mode()  # doctest: +SKIP
    >>> modes.formulas["parameter_kl"]  # doctest: +SKIP
    lam1*tau - 1 + exp(-lam1*tau) + (1 - exp(-lam1*tau))**2*(kappa11 + y1**2)/(2*lam1)
    """
    return _modes(1)


def two_modes() -> Modes:
    """An ensemble on two training points in the eigenbasis of Θ, where K need not be diagonal, and one test point.

    Examples
    --------
    >>> sorted(two_modes().formulas)[:3]  # doctest: +SKIP
    ['data_information', 'data_information_train', 'degrees_of_freedom']
    """
    return _modes(2)


def _modes(n: int) -> Modes:
    sp = sympy_module()
    tau, s2, k_xx = sp.symbols("tau s2 k_xx", positive=True)
    lam = sp.symbols(f"lam1:{n + 1}", positive=True)
    y = sp.symbols(f"y1:{n + 1}", real=True)
    theta_x = sp.symbols(f"theta_x1:{n + 1}", real=True)
    k_x = sp.symbols(f"k_x1:{n + 1}", real=True)
    kappa = {
        (i, j): sp.Symbol(f"kappa{i + 1}{j + 1}", positive=(i == j), real=True) for i in range(n) for j in range(i, n)
    }
    k = sp.Matrix(n, n, lambda i, j: kappa[min(i, j), max(i, j)])
    theta, e = sp.diag(*lam), sp.diag(*(sp.exp(-tau * value) for value in lam))
    a = sp.diag(*((1 - sp.exp(-tau * value)) / value for value in lam))
    labels, row, cross = sp.Matrix(y), sp.Matrix([theta_x]), sp.Matrix([k_x])
    formulas = _predictive(k, e, a, labels, row, cross, k_xx) | _parameters(lam, k, e, a, theta, labels, tau, s2)
    symbols = [tau, s2, k_xx, *lam, *y, *theta_x, *k_x, *kappa.values()]
    return Modes({str(symbol): symbol for symbol in symbols}, formulas)


def _predictive(k: Matrix, e: Matrix, a: Matrix, y: Matrix, row: Matrix, cross: Matrix, k_xx: Expr) -> dict[str, Expr]:
    sp = sympy_module()
    n = y.shape[0]
    eye = sp.eye(n)
    mean = (row * a * y)[0]
    variance = (sp.Matrix([[k_xx]]) + row * a * k * a * row.T - row * a * cross.T - cross * a * row.T)[0]
    mu, sigma = (eye - e) * y, e * k * e
    train_kl = (k.inv() * sigma).trace() - n + sp.log(k.det()) - _log_det(k, e) + (mu.T * k.inv() * mu)[0]
    return {
        "mean": mean,
        "variance": variance,
        "train_square_error": (sigma.trace() + (y.T * e * e * y)[0]) / n,
        "degrees_of_freedom": (eye - e).trace(),
        "data_information": (variance / k_xx - 1 - sp.log(variance / k_xx) + mean**2 / k_xx) / 2,
        "data_information_train": train_kl / 2,
    }


def _log_det(k: Matrix, e: Matrix) -> Expr:
    """The log det(E K E), expanded so that it does not underflow."""
    sp = sympy_module()
    return sp.log(k.det()) + 2 * sum(sp.log(e[i, i]).expand(force=True) for i in range(e.shape[0]))


def _parameters(
    lam: tuple[Expr, ...], k: Matrix, e: Matrix, a: Matrix, theta: Matrix, y: Matrix, tau: Expr, s2: Expr
) -> dict[str, Expr]:
    sp = sympy_module()
    n = len(lam)
    moment = k + y * y.T
    action = sp.integrate(sum(moment[i, i] * lam[i] ** 2 * sp.exp(-2 * lam[i] * tau) for i in range(n)), (tau, 0, tau))
    # Linear model z = √λ θ, one parameter a mode: θ_τ = e θ_0 + √λ a y, so that K = Θ and p(θ_τ|D) = N(√λ a y, e²).
    linear_kl = sum((e[i, i] ** 2 + lam[i] * a[i, i] ** 2 * y[i] ** 2 - 1 + 2 * lam[i] * tau) / 2 for i in range(n))
    displacement = (moment * a * theta * a).trace()
    return {
        "parameter_kl_linear_model": linear_kl,
        "parameter_kl": tau * sum(lam) - (theta * a).trace() + displacement / 2,
        "parameter_kl_published": tau * sum(lam) + displacement,
        "parameter_label_information": sum(sp.log(1 + s2 * (sp.exp(tau * v) - 1) ** 2 / v) for v in lam) / 2,
        "parameter_distance_squared": displacement,
        "fisher_distance_squared": (moment * (sp.eye(n) - e) ** 2).trace(),
        "fisher_action": action,
    }
