"""Tables of random ensembles of every kind against dense algebra in 60 digits: right to 1e-9, or the loss is reported."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from holdout import SWEEP, Case, Truth

import ntkinfo
from dualib.core.quantity import Relation
from dualib.core.special import EPS
from ntkinfo.precision import relative_loss, rounding_errors
from ntkinfo.quantities.registry import has_rounding

# kernels of few digits are what is tested
pytestmark = pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")

SIDES = {Relation.LOWER: -1, Relation.UPPER: 1, Relation.UPPER_IN_EXPECTATION: 1}


def failures(seed, generator=77, *, digits=True, **kind):
    """(column, τ, value, truth, reported loss) where a column is off by more than it says, or a bound on the wrong side by
    anything; and the number compared. Without `digits` the loss is that of first order.
    """
    case, wrong, compared = Case.draw(seed, generator, **kind), [], 0
    singular = case.ensemble.rank < case.ensemble.n_train
    tables = {on: _table(case, on, digits) for on in ("test", "train")}
    lost = {on: _lost_by_change(case, on, table) for on, table in tables.items()} if digits else {}
    with mp.workdps(60):
        for t, tau in enumerate(case.taus):
            truth = Truth(case, tau)
            if not truth.positive:
                continue
            for on, table in tables.items():
                values = truth.of_points(on) | (truth.spectral() if on == "test" else {})
                for name in values.keys() & table.values.keys():
                    found, loss = float(table[name][t]), table.rounding[name][t]
                    value, compared = float(values[name]), compared + 1
                    least = 1e-50 if "information" in name else 1e-290  # logarithms in 60 digits
                    side = SIDES.get(table.column(name).relation, 0)
                    size = max(abs(value), abs(found))
                    allowed = (1e-9 + (2 if side else 1) * loss) * size if size else float(loss == np.inf)
                    # of condition above 1e14: bounds are held to their side, to 1e-12
                    if kind.get("dropped") and not singular:
                        allowed, least = np.inf, 1e-12 * size
                    elif singular and ("kolchinsky" in name or "affine" in name):
                        allowed = np.inf  # of shapes that the dropped modes alone give the outputs: held to their side
                    elif has_rounding(name) and digits and not singular:
                        allowed = min(allowed, _outward(truth, table, name, t, value, lost[on][name][t]))
                    near = found == value or allowed == np.inf or abs(found - value) <= allowed + least
                    if not near or side * (found - value) < -least:
                        wrong.append((seed, on, name, float(tau), found, value, loss))
    return wrong, compared


def _outward(truth, table, name, t, value, loss):
    """How far a bound that has its rounding on its side may lie from the truth: by what is lost of it, or can be where it needs an inverse."""
    relative = 1e-9 + loss
    if name in ("data_information_joint", "data_information_train"):
        of_variance = table.rounding["output_variance"][t] if name.endswith("joint") else 0.0
        lost, count = truth.conditioning(name, of_variance), table.settings["n_test"]
        # the train one adds up pairs of modes
        size = value + truth.k * count if name.endswith("joint") else len(truth.lam) * value
        return np.inf if lost > 1e-5 else 200 * (relative * value + lost * size)
    if "kolchinsky" in name:  # at the end outputs shrink with the slowest mode, and their size moves with its rate
        relative += (
            table.rounding["output_variance"][t] + table.rounding.get("ensemble_square_error", np.zeros(t + 1))[t]
        )
        if truth.tau != mp.inf:
            relative += 4 * EPS * float(truth.tau * truth.lam[-1])
    # a bound adds the errors of all points, and takes the worst of all directions of an error of Θ; a sample has one of each
    points = max(table.settings["n_train"], table.settings["n_test"])
    return 5 * np.sqrt(points) * relative * abs(value) + 1e-25


def _lost_by_change(case, on, table):
    """What changes of the kernels' last digits do to the bounds that have their rounding in them, relative to their values."""
    values = {name: table[name] for name in table.values if has_rounding(name)}
    errors = rounding_errors(values, lambda e: _table(replace(case, ensemble=e), on, False).values, case.ensemble)
    return {name: relative_loss(errors[name], values[name]) for name in values}


def _table(case, on, digits):
    given = {"y_test": case.y_test, "entropy_y": case.entropy_y} | case.noises
    return ntkinfo.timeline(case.ensemble, case.taus, on=on, digits=digits, progress=False, **given)


def test_every_column_of_every_kind_of_ensemble():
    found = [failures(seed) for seed in range(6)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 500


def test_training_points_beside_others_keep_their_digits():
    found = [failures(seed, mixed=True) for seed in range(3)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 250


@pytest.mark.parametrize("mixed", [False, True])
def test_rounding_is_known_to_first_order_beside_every_table(mixed):
    found = [failures(seed, mixed=mixed, digits=False) for seed in (3, 13, 14, 17, 18)]  # which lost most
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 400


@pytest.mark.parametrize("digits", [False, True])
def test_kernels_of_networks(digits):
    found = [failures(seed, network=True, digits=digits) for seed in range(2 if digits else 6)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 100


@pytest.mark.parametrize("digits", [False, True])
def test_dropped_eigenvalues_are_counted_for_what_they_may_do(digits):
    """Exact kernels, most of whose eigenvalues are below n ε λ_max, at times up to their inverses."""
    found = [failures(seed, 9200, dropped=True, digits=digits) for seed in range(2 if digits else 6)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 100


def test_the_rounding_of_the_test_points_kernels_in_the_modes_is_in_the_loss():
    """At λ of the order of the last digit and τ = 9e10, Θ_x V/λ has fewer digits than λ."""
    case, name = Case.draw(7, 9200, dropped=True), "gaussian_label_information"
    table = _table(case, "test", False)
    with mp.workdps(60):
        truth = np.array([float(Truth(case, tau).of_points()[name]) for tau in case.taus[:2]])
    error = np.abs(table[name][:2] - truth) / truth
    assert error.max() > 1e-7
    assert (error <= table.rounding[name][:2] + 1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generator", "seeds"),
    [
        # of 70, 76 and 107 the slowest eigenvalues are known, but too near to one another for axes of their own; 105 has a bound without any digit
        (9200, (70, 76, 105, 107)),
        (31404, (42, 70, 75)),  # whose variances are lost at the end of training, which is not to say that they are 0
        (41404, (33,)),  # whose clipped risk is 1 with and without the slowest modes, and .34 with some of what they do
    ],
)
def test_dropped_eigenvalues_are_counted_in_hard_cases(generator, seeds):
    found = (failures(seed, generator, dropped=True, digits=False)[0] for seed in seeds)
    assert [case for wrong in found for case in wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("digits", [False, True])
@pytest.mark.parametrize("first", [12, 56, 100])
def test_dropped_eigenvalues_are_counted_in_many_cases(first, digits):
    found = (failures(seed, 9200, dropped=True, digits=digits)[0] for seed in range(first, first + SWEEP))
    assert [case for wrong in found for case in wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_forty_points(seed, network):
    for digits in (False, True):
        assert failures(seed, 40, size=40, network=network, digits=digits)[0] == []


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("first", range(1006, 1156, 50))
def test_rounding_is_known_to_first_order_in_many_cases(first, mixed):
    found = (failures(seed, 9001, mixed=mixed, digits=False)[0] for seed in range(first, first + SWEEP))
    assert [case for wrong in found for case in wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("first", range(6, 156, 50))
def test_every_column_of_every_kind_of_ensemble_in_many_cases(first, mixed):
    assert [case for seed in range(first, first + SWEEP) for case in failures(seed, mixed=mixed)[0]] == []


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
    at_test = ntkinfo.Ensemble(twins, y)  # the training points as test points
    same = ntkinfo.timeline(at_test, taus, y_test=y, entropy_y=0.0, progress=False)
    for name in ("label_information_best_noise", "label_information_affine", "ensemble_square_error"):
        np.testing.assert_allclose(same[name], table[name], rtol=1e-12, err_msg=name)


def test_informations_about_the_inputs_of_collapsed_outputs_are_those_of_their_shapes():
    """Outputs of one class keep their distances in widths, although both fall below any number: less than log N for ever."""
    rng = np.random.default_rng(4)
    root = rng.standard_normal((6, 9))
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(root @ root.T, 0.5 * root @ root.T + np.eye(6)), [1, 1, 1, -1, -1, -1])
    rate = ensemble.eigenvalues[0]
    taus = np.array([0.1, 1.0, 30.0, 100.0, 1e3, 1e6]) / rate
    found = ntkinfo.timeline(ensemble, taus, on="train", progress=False)
    low, value, high = (
        found[f"input_information{end}"] for end in ("_kolchinsky_tracey_lower", "", "_kolchinsky_tracey_upper")
    )
    assert (low <= value).all()
    assert (value <= high).all()
    assert (value < np.log(6) - 0.1)[3:].all()
    np.testing.assert_allclose(value[4:], value[3], rtol=1e-9)  # the slowest mode is alone
    # which gives point i the mean y_i - e v_i (v·y) and the standard deviation e |v_i| √κ
    v, y, kappa = ensemble.eigenvectors[:, 0], ensemble.y_modes[0, 0], ensemble.kappa[0]
    places = 1e3 * np.array([1, 1, 1, 0, 0, 0]) - v * y
    shape = ntkinfo.Marginals(places[:, None], v**2 * kappa)
    np.testing.assert_allclose(value[-1], ntkinfo.quantities.input_information(shape), rtol=1e-9)


def test_informations_of_training_points_beside_others_at_any_width():
    """Labels ±1, so that points share targets; widths of 10^-3 to 10^-31 of the others', and 10^-1300, beyond any number."""
    rng = np.random.default_rng(5)
    root, test = rng.standard_normal((7, 9)), np.array([0, 5, 1, 6, 2, 3])
    both = root @ root.T, 0.5 * root @ root.T + 0.3 * np.eye(7)
    blocks = [
        kernel[np.ix_(rows, among)]
        for rows, among in ((range(5),) * 2, (test, range(5)), (test, test))
        for kernel in both
    ]
    y, y_test = np.array([[1.0], [1], [1], [-1], [1]]), np.array([[1.0], [-1], [1], [1], [1], [-1]])
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(*blocks), y)
    taus = np.array([5, 20, 30, 70, 3000]) / ensemble.eigenvalues[0]
    noises = {"label_noise": 1.0, "output_noise": 0.0, "weight_noise": 0.01}
    table = ntkinfo.timeline(ensemble, taus, y_test=y_test, progress=False)
    low, value, high, upper = (
        table[f"input_information{x}"]
        for x in ("_kolchinsky_tracey_lower", "", "_kolchinsky_tracey_upper", "_leave_one_out")
    )
    with mp.workdps(60):
        case = Case(ensemble, y, y_test, noises, None, taus, None)
        for tau, found in zip(taus[:4], value, strict=False):
            np.testing.assert_allclose(found, float(Truth(case, tau).points().information()), rtol=1e-12)
    np.testing.assert_allclose(value[4], value[3], rtol=1e-8)
    assert (low < value).all()
    assert (value < high).all()
    assert (high < upper).all()
    alone = (taus[4] - taus[3]) * ensemble.eigenvalues[
        0
    ]  # by which the logarithm of the width of the one label -1 falls
    np.testing.assert_allclose(upper[4] - upper[3], alone / 6, rtol=1e-9)
