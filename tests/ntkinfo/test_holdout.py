"""Tables of random ensembles of every kind against dense algebra in 60 digits: right to 1e-9, or the loss is reported."""

import mpmath as mp
import numpy as np
import pytest
from holdout import Case, Truth

import ntkinfo

UPPER = ("data_information",)


def failures(seed, generator=77):
    """(column, τ, value, truth, reported loss) where a column is off by more than it says; and the number compared."""
    case, wrong, compared = Case.draw(seed, generator), [], 0
    tables = {on: _table(case, on) for on in ("test", "train")}
    with mp.workdps(60):
        for t, tau in enumerate(case.taus):
            truth = Truth(case, tau)
            if not truth.positive:  # rounding of the kernel itself
                continue
            for on, table in tables.items():
                values = truth.of_points(on) | (truth.spectral() if on == "test" else {})
                for name in values.keys() & table.values.keys():
                    found, loss = float(table[name][t]), float(table.rounding[name][t])
                    value, compared = float(values[name]), compared + 1
                    allowed = (1e-9 + loss) * max(abs(value), abs(found)) + 1e-290
                    right = found == value or loss == np.inf or abs(found - value) <= allowed
                    if not (right or (name in UPPER and found > value)):
                        wrong.append((seed, on, name, float(tau), found, value, loss))
    return wrong, compared


def _table(case, on):
    given = {"y_test": case.y_test, "entropy_y": case.entropy_y} | case.noises
    return ntkinfo.timeline(case.ensemble, case.taus, on=on, digits=True, progress=False, **given)


def test_every_column_of_every_kind_of_ensemble():
    found = [failures(seed) for seed in range(6)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 500


@pytest.mark.slow
@pytest.mark.parametrize("first", range(6, 156, 50))
def test_every_column_of_every_kind_of_ensemble_in_three_times_fifty_cases(first):
    assert [case for seed in range(first, first + 50) for case in failures(seed)[0]] == []


def test_errors_at_training_points_are_known_far_below_the_last_digit_of_the_labels():
    """Two modes that K shares with Θ: mse = (e^{-2τλ₁}(κ₁ + y₁²) + e^{-2τλ₂}(κ₂ + y₂²))/2, at any finite time."""
    theta, nngp, y = np.diag([2.0, 5.0, 2.0, 5.0]), np.diag([0.5, 1.0, 0.5, 1.0]), np.array([1.0, -1.0, 0.3, 2.0])
    ensemble, taus = ntkinfo.Ensemble(ntkinfo.Kernels(theta, nngp), y), np.array([1.0, 40.0, 1e6, np.inf])
    table = ntkinfo.timeline(ensemble, taus, on="train", entropy_y=0.0, digits=True, progress=False)
    fit, test = ((1.5 + 0.59) / 2, (2.0 + 5.0) / 2)  # first and third point; second and fourth
    late = np.exp(-2 * 3 * taus[:3]) * test / fit
    expected = 0.5 * (2 * 2 * taus[:3] - np.log(2 * np.pi * fit) - late)
    np.testing.assert_allclose(table["label_information_best_noise"], np.append(expected, np.inf), rtol=1e-12)
    assert (table.rounding["label_information_best_noise"] < 1e-8).all()
    twins = ntkinfo.Kernels(*(theta, nngp) * 3)
    same = ntkinfo.timeline(
        ntkinfo.Ensemble(twins, y), taus, y_test=y, entropy_y=0.0, progress=False
    )  # the training points as test points
    for name in ("label_information_best_noise", "label_information_affine", "ensemble_square_error"):
        np.testing.assert_allclose(same[name], table[name], rtol=1e-12, err_msg=name)
