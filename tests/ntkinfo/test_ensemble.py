"""The predictive law: against dense parameter space, neural-tangents, limits, and degenerate kernels."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ntkinfo
from ntkinfo import quantities
from ntkinfo.kernels import neural_tangents

TAUS = (1e-3, 0.3, 2.0, 40.0)
WIDE = np.geomspace(1e-6, 1e12, 37)


@pytest.mark.parametrize("on", ["train", "test"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize(
    "settings", [{}, {"ridge": 0.4}, {"step": 0.1}, {"step": 0.1, "ridge": 0.4}], ids=lambda s: "-".join(s) or "flow"
)
def test_law_agrees_with_parameter_space(linear_model, on, outputs, tau, settings):
    if "step" in settings:
        tau = max(round(tau / settings["step"]), 1) * settings["step"]
    model = linear_model(outputs=outputs)
    rule = ntkinfo.GradientDescent(settings["step"]) if "step" in settings else ntkinfo.GradientFlow()
    ensemble = model.ensemble(learning_rule=rule, ridge=settings.get("ridge", 0.0))
    mean, covariance = ensemble.law(tau, on=on)
    dense_mean, dense_covariance = model.law(tau, on, **settings)
    np.testing.assert_allclose(mean, dense_mean, atol=1e-8)
    np.testing.assert_allclose(covariance, dense_covariance, atol=1e-8)


def predictions(kernels, y, t, on, mode, ridge=0.0):
    """neural-tangents' own mean and covariance, from the same arrays."""
    nt = neural_tangents.load()
    import jax.numpy as jnp

    def kernel_fn(x1, x2, get):
        rows = "test" if x1[0, 0] else "train"
        block = {("train", None): "", ("test", None): "_test"}.get((rows, x2 if x2 is None else "x"), "_test_train")
        if x2 is not None and rows == "train":
            block = ""
        chosen = {name: jnp.asarray(getattr(kernels, name + block)) for name in ("ntk", "nngp")}
        if isinstance(get, str):
            return chosen[get]
        return _Pair(**{g: chosen[g] for g in get})

    predict = nt.predict.gradient_descent_mse_ensemble(
        kernel_fn, np.zeros((len(y), 1)), jnp.asarray(y), diag_reg=ridge, diag_reg_absolute_scale=True
    )
    x_test = None if on == "train" else np.ones((kernels.n_test, 1))
    law = predict(t=t, x_test=x_test, get=(mode,), compute_cov=True)
    law = getattr(law, mode)
    return np.asarray(law.mean), np.asarray(law.covariance)


class _Pair:
    def __init__(self, ntk=None, nngp=None):
        self.ntk, self.nngp = ntk, nngp

    def _asdict(self):
        return {name: value for name, value in vars(self).items() if value is not None}


@pytest.fixture(scope="module")
def erf_kernels():
    rng = np.random.default_rng(5)
    x_train, x_test = rng.standard_normal((12, 4)), rng.standard_normal((5, 4))
    net = ntkinfo.mlp(hidden_layers=2, activation="erf", w_std=1.5, b_std=0.1)
    return ntkinfo.Kernels.compute(net.kernel_fn, x_train, x_test), rng.standard_normal((12, 2))


@pytest.mark.parametrize("mode", ["ntk", "nngp"])
@pytest.mark.parametrize(("on", "ridge"), [("train", 0.0), ("test", 0.0), ("test", 0.3)])
@pytest.mark.parametrize("t", [1e-2, 3.0, 200.0, 1e4])
def test_law_agrees_with_neural_tangents(erf_kernels, mode, on, ridge, t):
    kernels, y = erf_kernels
    mean, covariance = predictions(kernels, y, t, on, mode, ridge)
    tau = ntkinfo.learning.tau_from_neural_tangents(t, n_train=12, n_outputs=2)
    law = ntkinfo.Ensemble(kernels, y, mode=mode, ridge=ridge).law(tau, on=on)
    np.testing.assert_allclose(law.mean, mean, atol=1e-10)
    if mode == "ntk" or ridge == 0:  # neural-tangents' last-layer covariance is written for no ridge
        np.testing.assert_allclose(law.covariance, covariance, atol=1e-10)


@pytest.mark.parametrize("mode", ["ntk", "nngp"])
def test_infinite_time_agrees_with_neural_tangents(erf_kernels, mode):
    kernels, y = erf_kernels
    mean, covariance = predictions(kernels, y, None, "test", mode)
    law = ntkinfo.Ensemble(kernels, y, mode=mode).law(np.inf)
    np.testing.assert_allclose(law.mean, mean, atol=1e-10)
    np.testing.assert_allclose(law.covariance, covariance, atol=1e-10)


def test_limits_in_time(linear_model):
    model = linear_model()
    ensemble, kernels = model.ensemble(), model.kernels
    start = ensemble.law(0.0)
    np.testing.assert_array_equal(start.mean, 0)
    np.testing.assert_allclose(start.covariance, kernels.nngp_test, atol=1e-15)
    end = ensemble.law(np.inf, on="train")
    np.testing.assert_allclose(end.mean, model.y, atol=1e-12)
    np.testing.assert_allclose(end.covariance, 0, atol=1e-24)


def test_last_layer_training_ends_in_the_gaussian_process_posterior(linear_model):
    model = linear_model()
    k = model.kernels
    law = model.ensemble(mode="nngp").law(np.inf)
    solved = np.linalg.solve(k.nngp, k.nngp_test_train.T)
    np.testing.assert_allclose(law.mean, solved.T @ model.y, atol=1e-10)
    np.testing.assert_allclose(law.covariance, k.nngp_test - k.nngp_test_train @ solved, atol=1e-10)


def test_centred_ensemble_has_the_same_mean_and_no_variance(linear_model):
    model = linear_model()
    for on in ("train", "test"):
        centred, plain = model.ensemble(centred=True).law(0.7, on=on), model.ensemble().law(0.7, on=on)
        np.testing.assert_allclose(centred.mean, plain.mean, atol=1e-14)
        np.testing.assert_array_equal(centred.covariance, 0)


@pytest.mark.parametrize("on", ["train", "test"])
def test_marginals_and_batches_are_the_law(linear_model, on):
    ensemble = linear_model(n=9, m=3, parameters=12, outputs=2).ensemble()
    taus = np.geomspace(1e-3, 1e3, 11)
    marginals = ensemble.marginals(taus, on=on)
    laws = [ensemble.law(tau, on=on) for tau in taus]
    np.testing.assert_allclose(marginals.mean, [law.mean for law in laws], atol=1e-13)
    np.testing.assert_allclose(marginals.variance, [law.variance for law in laws], atol=1e-13)


def test_many_times_share_their_products(linear_model):
    """With many times the law of each comes from a basis of few: no accuracy is lost, small times and late times included."""
    ensemble = linear_model(seed=2, n=30, m=2, parameters=40, outputs=1).ensemble()
    taus = np.geomspace(1e-6, 1e12, 80)
    for where, batch in ensemble.laws(taus):
        for tau, covariance in zip(taus[where], batch.covariance, strict=True):
            exact = ensemble.law(tau).covariance
            np.testing.assert_allclose(covariance, exact, atol=1e-13)
            drop = ensemble.kernels.nngp_test - exact
            np.testing.assert_allclose(
                ensemble.kernels.nngp_test - covariance, drop, atol=1e-14 + 1e-12 * np.abs(drop).max()
            )


def test_law_does_not_depend_on_the_order_of_points(linear_model):
    model = linear_model()
    k, order = model.kernels, np.random.default_rng(1).permutation(model.n_train)
    shuffled = ntkinfo.Kernels(
        ntk=k.ntk[np.ix_(order, order)],
        nngp=k.nngp[np.ix_(order, order)],
        ntk_test_train=k.ntk_test_train[:, order],
        nngp_test_train=k.nngp_test_train[:, order],
        ntk_test=k.ntk_test,
        nngp_test=k.nngp_test,
    )
    a, b = model.ensemble().law(1.3), ntkinfo.Ensemble(shuffled, model.y[order]).law(1.3)
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-12)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-12)


def test_descent_with_small_steps_is_flow(linear_model):
    model = linear_model()
    errors = []
    for step in (1e-2, 1e-3):
        descent = model.ensemble(learning_rule=ntkinfo.GradientDescent(step)).law(1.0)
        errors.append(np.abs(descent.mean - model.ensemble().law(1.0).mean).max())
    assert errors[1] < 0.11 * errors[0]


def duplicated(linear_model, outputs=1):
    """An ensemble on inputs that each occur twice, with labels that differ; and on test points that are training points."""
    model = linear_model(seed=3, n=5, m=3, outputs=outputs)
    n = 5
    order = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 6, 7])
    labels = np.random.default_rng(0).standard_normal((10, outputs))
    clone = type(model)(model.phi[order], model.psi[order], 2 * n, labels, model.y_test)
    return clone.ensemble(), labels


def test_duplicate_inputs_are_stable_at_all_times(linear_model):
    ensemble, labels = duplicated(linear_model)
    assert ensemble.rank == 5
    error = []
    for tau in WIDE:
        for on in ("train", "test"):
            law = ensemble.law(tau, on=on)
            assert np.isfinite(law.mean).all()
            assert np.isfinite(law.covariance).all()
            assert np.linalg.eigvalsh(law.covariance).min() > -1e-11
        error.append(float(quantities.ensemble_square_error(ensemble.law(tau, on="train"), labels)))
    assert (np.diff(error) < 1e-12).all()
    mean = 0.5 * (labels[:5] + labels[5:])
    np.testing.assert_allclose(ensemble.law(1e12, on="train").mean[:5], mean, atol=1e-7)
    np.testing.assert_allclose(ensemble.law(1e12).mean[0], mean[0], atol=1e-7)


def test_descent_refuses_steps_that_diverge_and_times_between_steps(linear_model):
    model = linear_model()
    largest = np.linalg.eigvalsh(model.kernels.ntk)[-1]
    with pytest.raises(ValueError, match=r"diverges.*Use a step below"):
        model.ensemble(learning_rule=ntkinfo.GradientDescent(2.01 / largest))
    ensemble = model.ensemble(learning_rule=ntkinfo.GradientDescent(1.9 / largest))
    with pytest.raises(ValueError, match="not a whole number"):
        ensemble.law(0.5 * 1.9 / largest)
    rounded = ensemble.learning_rule.round([0.0, 1e-9, 3.0])
    assert rounded[0] == 0
    assert rounded[1] == ensemble.learning_rule.step
    ensemble.law(rounded[2])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # which is the machine's
@given(t=st.floats(1e-6, 1e12), n=st.integers(1, 1000), k=st.integers(1, 10), rate=st.floats(1e-6, 1e3))
def test_time_conversions_are_inverse(t, n, k, rate):
    tau = ntkinfo.learning.tau_from_neural_tangents(t, n, k, rate)
    assert ntkinfo.learning.neural_tangents_from_tau(tau, n, k, rate) == pytest.approx(t, rel=1e-12)
    assert ntkinfo.learning.steps_from_tau(ntkinfo.learning.tau_from_steps(t, rate), rate) == pytest.approx(
        t, rel=1e-12
    )


@given(tau=st.one_of(st.floats(max_value=-1e-300), st.just(float("nan"))))
def test_bad_times_are_refused(tau):
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(np.eye(2), np.eye(2)), np.ones(2))
    with pytest.raises(ValueError, match="taus must be >= 0"):
        ensemble.spectrum(tau)


@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(lambda s: not (len(s) < 3 and s[0] == 3 and s[-1]))
)
def test_labels_of_another_shape_are_refused_with_both_shapes(shape):
    kernels = ntkinfo.Kernels(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"y_train has shape \(.*\), but a training kernel of shape \(3, 3\)"):
        ntkinfo.Ensemble(kernels, np.zeros(shape))


def test_a_test_block_that_sees_the_null_space_is_refused():
    theta = np.diag([1.0, 0.1])
    kernels = ntkinfo.Kernels(theta, theta, np.array([[0.5, 0.1]]), np.array([[0.5, 0.1]]), np.eye(1), np.eye(1))
    with pytest.raises(ValueError, match="null space"):
        ntkinfo.Ensemble(kernels, np.ones(2), rank_tolerance=0.2).law(1.0)


def test_asking_for_test_points_that_are_not_there():
    with pytest.raises(ValueError, match="no test points"):
        ntkinfo.Ensemble(ntkinfo.Kernels(np.eye(2), np.eye(2)), np.ones(2)).law(1.0)


def test_laws_are_saved_and_loaded(tmp_path, linear_model):
    law = linear_model().ensemble().law(0.3)
    law.save(tmp_path / "law.npz")
    found = ntkinfo.Law.load(tmp_path / "law.npz")
    np.testing.assert_array_equal(found.covariance, law.covariance)
    np.testing.assert_array_equal(found.rounding.variance, law.rounding.variance)
