"""The numerical formulas against sympy, for one and two modes; limits; LaTeX."""

import numpy as np
import pytest
import sympy

import ntkinfo
from ntkinfo import quantities, symbolic

VALUES = {
    1: {"lam1": 0.8, "kappa11": 0.5, "y1": -1.3, "theta_x1": 0.4, "k_x1": 0.2, "k_xx": 0.9},
    2: {
        "lam1": 0.3,
        "lam2": 1.7,
        "kappa11": 0.4,
        "kappa12": 0.1,
        "kappa22": 0.9,
        "y1": 0.7,
        "y2": -1.1,
        "theta_x1": 0.2,
        "theta_x2": -0.5,
        "k_x1": 0.1,
        "k_x2": -0.2,
        "k_xx": 0.8,
    },
}
MODES = {1: symbolic.one_mode(), 2: symbolic.two_modes()}


def build(n, linear=False):
    v = VALUES[n]
    theta = np.diag([v[f"lam{i + 1}"] for i in range(n)])
    k = np.array([[v[f"kappa{min(i, j) + 1}{max(i, j) + 1}"] for j in range(n)] for i in range(n)])
    theta_x, k_x = (np.array([[v[f"{name}{i + 1}"] for i in range(n)]]) for name in ("theta_x", "k_x"))
    kernels = ntkinfo.Kernels(theta, theta if linear else k, theta_x, k_x, np.array([[1.1]]), np.array([[v["k_xx"]]]))
    return ntkinfo.Ensemble(kernels, np.array([v[f"y{i + 1}"] for i in range(n)]))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("tau", [1e-6, 0.3, 7.0, 40.0])
def test_numbers_agree_with_sympy(n, tau):
    modes, ensemble = MODES[n], build(n)
    law, train = ensemble.law(tau), ensemble.law(tau, on="train")
    numbers = {
        "mean": law.mean[0, 0],
        "variance": law.covariance[0, 0],
        "train_square_error": quantities.expected_square_error(train, ensemble.y_train),
        "data_information": quantities.data_information(law, ensemble.law(0.0)),
        "data_information_train": quantities.data_information_train(ensemble, tau),
        "degrees_of_freedom": quantities.degrees_of_freedom(ensemble, tau),
        "parameter_kl": quantities.parameter_kl(ensemble, tau),
        "parameter_kl_published": quantities.parameter_kl_published(ensemble, tau),
        "parameter_label_information": quantities.parameter_label_information(ensemble, tau, 0.6),
        "parameter_distance_squared": quantities.parameter_distance_squared(ensemble, tau),
        "fisher_distance_squared": quantities.fisher_distance_squared(ensemble, tau),
        "fisher_action": quantities.fisher_action(ensemble, tau),
        "parameter_kl_linear_model": quantities.parameter_kl(build(n, linear=True), tau),
    }
    assert set(numbers) == set(modes.formulas)
    for name, number in numbers.items():
        exact = modes.value(name, tau=tau, s2=0.6, **VALUES[n])
        assert float(number) == pytest.approx(exact, rel=1e-9, abs=1e-13), name


def test_limits():
    one = MODES[1]
    s = one.symbols
    assert one.limit("mean", "oo") == s["theta_x1"] * s["y1"] / s["lam1"]
    assert one.limit("variance", "0") == s["k_xx"]
    assert one.limit("parameter_kl", "0") == 0
    assert one.limit("parameter_kl", "oo") == sympy.oo
    assert one.limit("degrees_of_freedom", "oo") == 1
    assert (
        sympy.simplify(one.limit("parameter_distance_squared", "oo") - (s["kappa11"] + s["y1"] ** 2) / s["lam1"]) == 0
    )
    leading = s["tau"] * s["lam1"] ** 2 * (s["kappa11"] + s["y1"] ** 2)
    assert sympy.expand(one.leading("fisher_action") - leading) == 0
    assert MODES[2].limit("train_square_error", "oo") == 0


def test_linear_model_formula_is_the_general_one_at_equal_kernels():
    for n, modes in MODES.items():
        s = modes.symbols
        same = {s[f"kappa{i + 1}{i + 1}"]: s[f"lam{i + 1}"] for i in range(n)}
        if n == 2:
            same[s["kappa12"]] = 0
        difference = modes.formulas["parameter_kl"].subs(same) - modes.formulas["parameter_kl_linear_model"]
        assert sympy.simplify(difference) == 0


def test_latex_and_unknown_names():
    assert r"\tau" in MODES[1].latex("parameter_kl")
    with pytest.raises(ValueError, match="no formula 'entropy'; there are"):
        MODES[1].latex("entropy")
    with pytest.raises(ValueError, match="must be"):
        MODES[1].limit("mean", "1")
