"""Columns and bounds against 60-digit arithmetic, where double precision has to be used with care."""

import mpmath as mp
import numpy as np
import pytest
from exact import Exact, leave_one_out

import ntkinfo
from dualib.core.factor import BLOCK
from dualib.gaussian import gaussian_mutual_information
from ntkinfo import quantities
from ntkinfo.kernels.checks import check_joint
from ntkinfo.quantities.log_determinants import log_det_gain

# kernels of few digits are what is tested
pytestmark = pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")


def smooth_kernels(x, x_test=None, b_std=0.3):
    """Θ and K of one hidden erf layer in one dimension: nearly singular on close points."""
    test = None if x_test is None else np.reshape(x_test, (-1, 1))
    return ntkinfo.kernels.dense(np.reshape(x, (-1, 1)), test, hidden_layers=1, b_std=b_std)


@pytest.fixture(scope="module")
def normal_task():
    x = np.random.default_rng(0).standard_normal((8, 3))
    kernels = ntkinfo.kernels.dense(x)
    return ntkinfo.Ensemble(kernels, np.sin(x[:, 0])), Exact(kernels, np.sin(x[:, 0]))


@pytest.mark.parametrize("tau", [1e-6, 1e-2, 1.5, 2.0, 2.5, 4.0, 10.0])
@pytest.mark.parametrize("labels", ["unit", "correlated", "one direction", "two directions"])
def test_information_about_the_labels_on_the_training_set(normal_task, tau, labels):
    ensemble, exact = normal_task
    root = np.random.default_rng(1).standard_normal((8, 8))
    used = {"unit": np.eye(8), "correlated": root, "one direction": root[:, :1], "two directions": root[:, :2]}[labels]
    covariance = used @ used.T
    outputs, parameters = exact.label_information(tau, used)
    found = quantities.gaussian_label_information_joint(ensemble, tau, covariance, on="train")
    assert found == pytest.approx(float(outputs), rel=1e-9)
    found = quantities.parameter_label_information_correlated(ensemble, tau, covariance)
    assert found == pytest.approx(float(parameters), rel=1e-9)


def test_information_about_the_labels_is_finite_at_all_finite_times(normal_task):
    ensemble, _ = normal_task
    rate = ensemble.eigenvalues.sum()
    late = [quantities.gaussian_label_information_joint(ensemble, t, np.eye(8), on="train") for t in (1e5, 2e5, np.inf)]
    assert late[1] - late[0] == pytest.approx(1e5 * rate, rel=1e-9)
    assert late[2] == np.inf
    assert quantities.gaussian_label_information_joint(ensemble, 0.0, np.eye(8), on="train") == 0


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e5])
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_both_forms_of_the_log_determinant(scale, rank):
    rng = np.random.default_rng(rank)
    noise = rng.standard_normal((5, 5))
    noise = noise @ noise.T + 0.1 * np.eye(5)
    root, log_gain = scale * rng.standard_normal((5, rank)), rng.uniform(-6, 6, 5)
    with mp.workdps(60):
        w = mp.diag([mp.exp(mp.mpf(float(x))) for x in log_gain]) * mp.matrix(root.tolist())
        truth = mp.log(mp.det(mp.eye(5) + mp.matrix(noise.tolist()) ** -1 * w * w.T))
    assert log_det_gain(noise, log_gain, root) == pytest.approx(float(truth), rel=1e-11)


def test_log_determinants_beyond_the_range_of_floats():
    """Gains e^800: log det(I + w² c c^T) = log(1 + |w c|²), and all of them when C is full."""
    log_gain, c = np.array([800.0, 500.0, -3.0]), np.array([[1.0], [2.0], [0.5]])
    assert log_det_gain(None, log_gain, c) == pytest.approx(1600.0, rel=1e-15)
    full = 1600.0 + 1000.0 + np.log1p(np.exp(-6.0))
    assert log_det_gain(None, log_gain, np.eye(3)) == pytest.approx(full, rel=1e-15)
    two = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert log_det_gain(np.diag([1.0, 4.0, 1.0]), log_gain, two) == pytest.approx(2600 - np.log(4), rel=1e-15)


# --- I(z;D|X) of all points ---


@pytest.mark.parametrize("tau", [0.0, 1e-6, 1e-2, 1.0, 10.0])
@pytest.mark.parametrize("points", [4, 8, 30])
def test_joint_bound_is_above_the_truth(points, tau):
    """On few points it is close; on many of a smooth kernel it cannot be had, and says so."""
    with mp.workdps(60):
        x, x_test = np.linspace(-2, 2, 8), np.linspace(-1.9, 1.8, points)
        kernels = smooth_kernels(x, x_test)
        ensemble = ntkinfo.Ensemble(kernels, np.sin(2 * x))
        bound = float(quantities.data_information_joint(ensemble.law(tau), ensemble.law(0.0)))
        if points == 30:
            assert bound == (0 if tau == 0 else np.inf)
            return
        truth = float(Exact(kernels, np.sin(2 * x)).joint_kl(tau))
    assert truth <= bound
    if points == 4:
        assert bound <= truth * (1 + 1e-3) + 1e-8


@pytest.mark.parametrize("tau", [0.0, 1e-3, 1.0, 30.0])
def test_duplicate_test_points_add_nothing_to_the_joint_bound(linear_model, tau):
    kernels = linear_model().kernels
    order = np.array([0, 1, 2, 3, 1, 0])
    double = ntkinfo.Kernels(
        kernels.ntk,
        kernels.nngp,
        kernels.ntk_test_train[order],
        kernels.nngp_test_train[order],
        kernels.ntk_test[np.ix_(order, order)],
        kernels.nngp_test[np.ix_(order, order)],
    )
    y = linear_model().y
    values = []
    for blocks in (kernels, double):
        ensemble = ntkinfo.Ensemble(blocks, y)
        values.append(float(quantities.data_information_joint(ensemble.law(tau), ensemble.law(0.0))))
    assert values[1] == pytest.approx(values[0], rel=1e-9, abs=1e-11)
    assert (values[1] == 0) == (tau == 0)


# --- test points that are training points ---


@pytest.mark.parametrize("tau", [1e-3, 1.0, 30.0, 100.0, 1e4])
def test_a_test_point_that_is_a_training_point_keeps_its_information(tau):
    x = np.array([-1.5, -0.4, 0.3, 1.7])
    kernels = smooth_kernels(x, [0.3, 0.8])
    with mp.workdps(60):
        exact = Exact(kernels, np.sin(x))
        v = exact.v
        residual = [v[2, j] * mp.exp(-mp.mpf(tau) * exact.values[j]) for j in range(4)]
        variance = mp.fsum(residual[i] * residual[j] * exact.nngp_modes[i, j] for i in range(4) for j in range(4))
        signal = mp.fsum((v[2, j] * -mp.expm1(-mp.mpf(tau) * exact.values[j])) ** 2 for j in range(4))
        truth = float(mp.log1p(signal / variance) / 2)
    ensemble = ntkinfo.Ensemble(kernels, np.sin(x))
    single = ntkinfo.Kernels(
        kernels.ntk,
        kernels.nngp,
        kernels.ntk_test_train[:1],
        kernels.nngp_test_train[:1],
        kernels.ntk_test[:1, :1],
        kernels.nngp_test[:1, :1],
    )
    assert ensemble.twins.tolist() == [2, -1]
    alone = quantities.gaussian_label_information(ntkinfo.Ensemble(single, np.sin(x)), tau, 1.0)
    assert alone == pytest.approx(truth, rel=1e-9)
    assert ensemble.marginals(tau).variance[0, 0] == pytest.approx(float(variance), rel=1e-9)


def test_the_labels_of_training_points_beside_others_where_the_outputs_are_large_beside_their_noise():
    """At τ = ∞ a training point's output is its label, without variance or covariance: its likelihood is that of the noise alone."""
    rng = np.random.default_rng(2)
    root = 1e15 * rng.standard_normal((6, 8))
    k, rows = root @ root.T, np.array([0, 4, 5])
    blocks = (k[:4, :4], k[rows, :4], k[np.ix_(rows, rows)])
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(*(block for block in blocks for _ in range(2))), np.ones(4))
    law, y = ensemble.law(np.inf), [1.0, 2.0, 3.0]
    others = ntkinfo.Law(law.mean[1:], law.covariance[1:, 1:])
    alone = 0.5 * np.log(2 * np.pi)
    expected = (2 * quantities.bayes_nll_joint(others, y[1:]) + alone) / 3
    assert quantities.bayes_nll_joint(law, y) == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_test_point_that_is_a_training_point_under_descent_that_overshoots(steps):
    """With ηλ > 1 residuals alternate in sign: the test point's variance is that of the training point all the same."""
    x = np.array([-1.5, -0.4, 0.3, 1.7])
    kernels = smooth_kernels(x, [0.3, 0.8])
    rule = ntkinfo.GradientDescent(1.7 / float(np.linalg.eigvalsh(kernels.ntk)[-1]))
    ensemble = ntkinfo.Ensemble(kernels, np.sin(x), learning_rule=rule)
    tau = steps * rule.step
    assert ensemble.twins.tolist() == [2, -1]
    residual = np.linalg.matrix_power(np.eye(4) - rule.step * kernels.ntk, steps)
    truth = (residual @ kernels.nngp @ residual)[2, 2]
    assert ensemble.marginals(tau).variance[0, 0] == pytest.approx(truth, rel=1e-11)
    assert ensemble.marginals(tau, on="train").variance[0, 2] == pytest.approx(truth, rel=1e-11)


def test_a_variance_lost_in_rounding_is_not_called_infinite_information():
    """A test point close to the training points has a variance of 1e-20: no value can be had from float64 kernels."""
    x = np.linspace(-0.3, 0.3, 16)
    ensemble = ntkinfo.Ensemble(smooth_kernels(x, np.linspace(-0.25, 0.23, 7)), x)
    assert np.isnan(quantities.gaussian_label_information(ensemble, 1e12, 1.0))
    centred = ntkinfo.Ensemble(ensemble.kernels, x, centred=True)
    assert quantities.gaussian_label_information(centred, 1.0, 1.0) == np.inf


# --- blocks that do not belong together ---


def test_columns_in_another_order_are_refused_with_the_place():
    rng = np.random.default_rng(0)
    kernels = ntkinfo.kernels.dense(rng.standard_normal((6, 3)), rng.standard_normal((3, 3)))
    blocks = {name: getattr(kernels, name) for name in ("ntk", "nngp", "ntk_test", "nngp_test")}
    for wrong in ("ntk", "nngp"):
        rows = {f"{name}_test_train": getattr(kernels, f"{name}_test_train") for name in ("ntk", "nngp")}
        rows[f"{wrong}_test_train"] = rows[f"{wrong}_test_train"][:, ::-1]
        with pytest.raises(ValueError, match=rf"{wrong}_test_train does not belong to {wrong}.*training point \d"):
            ntkinfo.Kernels(**blocks, **rows)
    ntkinfo.Kernels(**blocks, **{f"{n}_test_train": getattr(kernels, f"{n}_test_train") for n in ("ntk", "nngp")})


@pytest.mark.parametrize("m", [BLOCK - 1, BLOCK + 1])
def test_the_whole_is_judged_in_every_block_of_test_points(m):
    """[[K, K*], [K*ᵀ, K**]] of the kernel 2 + cos(x − y) has rank 3; one test point that is not where it says has a negative variance."""
    x = np.random.default_rng(0).uniform(0, 6, 5 + m)
    whole = 2 + np.cos(x[:, None] - x)
    train, cross, test = whole[:5, :5], whole[5:, :5].copy(), whole[5:, 5:]
    check_joint(train, cross, test, "ntk")
    cross[-1] = 2 + np.cos(x[-1] + 0.1 - x[:5])
    with pytest.raises(ValueError, match=rf"does not belong.*test point {m - 1}\."):
        check_joint(train, cross, test, "ntk")


def test_kernels_of_a_network_in_each_others_place_are_refused():
    kernels = ntkinfo.kernels.dense(np.random.default_rng(0).standard_normal((5, 3)))
    kernels.check_ntk_above_nngp()
    swapped = ntkinfo.Kernels(kernels.nngp, kernels.ntk)
    with pytest.raises(ValueError, match="in each other's place"):
        swapped.check_ntk_above_nngp()
    with pytest.raises(ValueError, match="in each other's place"):
        ntkinfo.Kernels(swapped.ntk, swapped.nngp, omega=kernels.omega)


# --- leave-one-out ---


@pytest.mark.parametrize(
    ("mean", "sigma"),
    [
        ([0.0, 0.3, 1.0], [1.0, 0.02, 0.02]),
        ([0.0, 0.2, 0.5], [0.5, 0.4, 0.7]),
    ],
)
def test_leave_one_out_where_the_nearest_neighbour_changes(mean, sigma):
    law = ntkinfo.Marginals(np.array(mean)[:, None], np.array(sigma) ** 2)
    assert quantities.input_information_leave_one_out(law) == pytest.approx(leave_one_out(mean, sigma), rel=1e-10)


# --- units, zeros and labels ---


@pytest.mark.parametrize("scale", [2.0**-660, 2.0**320])
def test_units_of_the_kernels_do_not_matter(linear_model, scale):
    """Θ → cΘ with τ → τ/c leaves what is fitted alone; K in the same unit keeps the quantities of y alone."""
    model = linear_model()
    k, taus = model.kernels, np.array([1e-3, 0.5, 20.0])
    names = ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
    plain = ntkinfo.Ensemble(k, model.y)
    scaled = ntkinfo.Ensemble(
        ntkinfo.Kernels(**{n: getattr(k, n) * (scale if "ntk" in n else 1.0) for n in names}), model.y
    )
    late = taus / scale
    for name in ("degrees_of_freedom", "path_length_upper", "path_length_lower", "path_length_upper_modes"):
        function = getattr(quantities, name)
        np.testing.assert_allclose(function(scaled, late), function(plain, taus), rtol=1e-12)
    for function in (quantities.fisher_distance_squared, quantities.data_information_train):
        np.testing.assert_allclose(function(scaled, late), function(plain, taus), rtol=1e-12)
    found = quantities.gaussian_label_information(scaled, late, 1.0)
    np.testing.assert_allclose(found, quantities.gaussian_label_information(plain, taus, 1.0), rtol=1e-12)
    for tau in taus:
        values = [
            quantities.data_information_joint(e.law(t), e.law(0.0)) for e, t in ((scaled, tau / scale), (plain, tau))
        ]
        assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_a_path_is_never_longer_than_its_bound_however_small_the_kernel():
    kernel = 1e-200 * np.array([[2.0, 1.0], [1.0, 3.0]])
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(kernel, kernel), [1.0, -2.0])
    low, high = quantities.path_length_lower(ensemble, 1e200), quantities.path_length_upper(ensemble, 1e200)
    assert 0 < low <= high < np.inf


def test_a_kernel_of_zero_trains_nothing_and_is_quiet(capfd):
    zero = np.zeros((3, 3))
    kernels = ntkinfo.Kernels(zero, zero, np.zeros((2, 3)), np.zeros((2, 3)), np.eye(2), np.eye(2))
    curve = ntkinfo.timeline(ntkinfo.Ensemble(kernels, np.ones(3)), [0.0, 1.0, 1e6], y_test=[1.0, 2.0])
    for name in (
        "degrees_of_freedom",
        "parameter_kl",
        "data_information_train",
        "data_information_joint",
        "gaussian_label_information",
    ):
        np.testing.assert_array_equal(curve[name], 0.0)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("tau", [0.5, [0.0, 0.5, 3.0], [2.0], np.inf])
def test_labels_without_noise_carry_no_information(linear_model, tau):
    ensemble = linear_model().ensemble()
    for function in (quantities.parameter_label_information, quantities.gaussian_label_information):
        np.testing.assert_array_equal(function(ensemble, tau, 0.0), np.zeros(np.shape(tau)))


@pytest.mark.parametrize("kind", [np.float32, np.bool_, np.int8, np.uint64, np.float16])
def test_labels_of_any_real_type_are_taken(linear_model, kind):
    labels = np.array([1, 0, 1, 1, 0, 0]).astype(kind)
    found = ntkinfo.Ensemble(linear_model().kernels, labels).y_train
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[:, 0], [1, 0, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="y_train must be an array of numbers"):
        ntkinfo.Ensemble(linear_model().kernels, np.array(list("abcdef")))


def test_information_of_the_test_points_is_that_of_the_joint_gaussian_with_duplicates(linear_model):
    model, tau = linear_model(n=5), 0.6
    ensemble = model.ensemble()
    weights = (ensemble.test_modes[0] * ensemble.spectrum(tau).response[0]) @ ensemble.eigenvectors.T
    noise = ensemble.law(tau).covariance
    truth = gaussian_mutual_information(noise + weights @ weights.T, np.eye(5), weights)
    assert quantities.gaussian_label_information_joint(ensemble, tau, np.eye(5)) == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("scale", [1e-199, 1e-120, 1.0, 1e98])
def test_no_scale_of_the_kernels_makes_numpy_warn(scale, outputs):
    """Warnings are errors here; the last test point is a training point."""
    x = np.random.default_rng(3).standard_normal((6, 3))
    x[-1] = x[0]
    gram = x @ x.T
    ntk, nngp = scale * (gram + gram**2 / 2), scale * gram / 2
    kernels = ntkinfo.Kernels(*(k[rows] for rows in (np.s_[:4, :4], np.s_[4:, :4], np.s_[4:, 4:]) for k in (ntk, nngp)))
    ensemble = ntkinfo.Ensemble(kernels, x[:4, :1] * np.ones(outputs) + np.eye(4)[:, :outputs])
    for on in ("test", "train"):
        found = ntkinfo.timeline(ensemble, [0.0, 1 / scale, np.inf], on=on, progress=False)
        assert "degrees_of_freedom" in found.describe()
        assert found["degrees_of_freedom"][2] > found["degrees_of_freedom"][1] > 0


def test_scales_without_products_in_double_precision_are_refused():
    for scale in (1e-201, 1e101):
        with pytest.raises(ValueError, match="divide all kernels by some c, labels by √c"):
            ntkinfo.Kernels(scale * np.eye(2), np.eye(2))
        with pytest.raises(ValueError, match="y_train has the largest entry"):
            ntkinfo.Ensemble(ntkinfo.Kernels(np.eye(2), np.eye(2)), [scale, 0.0])
