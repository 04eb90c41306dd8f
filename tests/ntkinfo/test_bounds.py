"""Generalisation bounds: by their definitions, against each other, where the truth is known; risks by Monte Carlo."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

import ntkinfo
from dualib.core.quantity import Relation
from ntkinfo import bounds, quantities

unit = st.floats(0, 1)
information = st.floats(0, 1e6)
size = st.integers(1, 10**6)


@given(p=unit, c=st.floats(0, 50))
def test_binary_kl_inverse_inverts(p, c):
    q = bounds.binary_kl_inverse(p, c)
    assert p <= q <= 1
    assert q <= p + np.sqrt(c / 2) + 2e-12  # Pinsker
    if p < q < 1 - 1e-9:
        kl = (p * np.log(p / q) if p else 0) + (1 - p) * np.log((1 - p) / (1 - q))
        assert kl == pytest.approx(c, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-12, 1e-3, 0.3359375, 0.9, 1 - 1e-9])
@pytest.mark.parametrize("c", [1e-300, 1e-15, 1e-9, 1e-4, 0.0999, 0.1, 3.0])
def test_binary_kl_inverse_in_fifty_digits(p, c):
    from mpmath import mp, mpf

    with mp.workdps(50):

        def kl(q):
            first = mpf(p) * mp.log(mpf(p) / q) if p else 0
            return first + (1 - mpf(p)) * mp.log((1 - mpf(p)) / (1 - q)) if q < 1 else mp.inf

        low, high = mpf(p), mpf(1)
        for _ in range(160):
            middle = (low + high) / 2
            low, high = (middle, high) if kl(middle) <= c else (low, middle)
        assert 0 <= bounds.binary_kl_inverse(p, c) - low < 2e-12  # a bound is rounded upwards


@given(risk=unit, kl=information, n=size, delta=st.floats(1e-9, 0.999))
def test_seeger_is_never_worse_than_mcallester(risk, kl, n, delta):
    seeger, mcallester = bounds.seeger(risk, kl, n, delta), bounds.mcallester(risk, kl, n, delta)
    assert risk <= seeger.value <= mcallester.value + 1e-9
    assert seeger.vacuous == (seeger.value >= 1)
    assert mcallester.value == pytest.approx(risk + np.sqrt((kl + np.log(2 * np.sqrt(n) / delta)) / (2 * n)))


@given(values=st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_single_sample_informations_never_make_it_worse(values):
    """I(W;S) ≥ Σ I(W;Z_i) for independent samples, and the root is concave."""
    assert bounds.bu(values).value <= bounds.xu_raginsky(sum(values), len(values)).value * (1 + 1e-12) + 1e-15


def test_catoni_with_its_best_temperature_is_mcallester_like():
    n, kl, delta = 1000, 5.0, 0.05
    lams = np.geomspace(1, 1e5, 400)
    best = min(bounds.catoni(0.1, kl, n, delta, lam).value for lam in lams)
    assert best == pytest.approx(0.1 + np.sqrt((kl + np.log(1 / delta)) / (2 * n)), rel=1e-4)


def test_values_by_hand():
    assert bounds.xu_raginsky(2.0, 100).value == pytest.approx(np.sqrt(2 * 0.25 * 2 / 100))
    assert bounds.conditional_mutual_information(2.0, 100).value == pytest.approx(np.sqrt(0.04))
    four_bits = bounds.input_compression(4 * np.log(2), 1000, 0.05)
    assert four_bits.value == pytest.approx(np.sqrt((16 + np.log(20)) / 2000))
    assert "heuristic" in four_bits.assumption
    assert bounds.finite_cells(16, 1000, 0.05).value == pytest.approx(np.sqrt((16 * np.log(2) + np.log(20)) / 2000))
    assert bounds.input_compression(1e6, 10).vacuous
    assert bounds.xu_raginsky(np.inf, 10).vacuous


def test_pac_bayes_holds_on_a_coin():
    """Predict a coin of bias 0.3 by the constant that the sample prefers; prior uniform on the two. 4000 samples of 50."""
    rng, n, delta = np.random.default_rng(0), 50, 0.1
    failures = 0
    for heads in rng.binomial(n, 0.3, 4000):
        guess_heads = heads > n / 2
        empirical, true = (1 - heads / n, 0.7) if guess_heads else (heads / n, 0.3)
        failures += true > bounds.seeger(empirical, np.log(2), n, delta).value
    assert failures / 4000 <= delta


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: bounds.mcallester(1.2, 1.0, 10), r"risk must lie in \[0, 1\]"),
        (lambda: bounds.seeger(0.1, -1.0, 10), "kl is an information"),
        (lambda: bounds.catoni(0.1, 1.0, 10, delta=1.0), "strictly between"),
        (lambda: bounds.xu_raginsky(float("nan"), 10), "information in nats"),
        (lambda: bounds.xu_raginsky(1.0, 0), "sample size"),
        (lambda: bounds.conditional_mutual_information(10.0, 2), "at most n log 2"),
        (lambda: bounds.bu([]), "one information"),
        (lambda: bounds.finite_cells(0, 3), "n_cells"),
    ],
)
def test_input_outside_the_assumptions_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize("outputs", [1, 3])
def test_risks_are_monte_carlo_averages(random_marginals, outputs):
    law = random_marginals(6, outputs=outputs)
    rng = np.random.default_rng(1)
    z = law.mean + np.sqrt(law.variance)[:, None] * rng.standard_normal((200_000, *law.mean.shape))
    y = rng.standard_normal((7, outputs))
    clipped = np.minimum((z - y) ** 2 / 0.8, 1.0).mean(axis=(1, 2))
    value = bounds.clipped_square_risk(law, y, 0.8)
    assert abs(value - clipped.mean()) < 4 * clipped.std() / np.sqrt(len(z))
    if outputs == 1:
        labels = np.sign(y)
        wrong = (np.sign(z) != labels).mean(axis=(1, 2))
    else:
        labels = np.eye(3)[rng.integers(0, 3, 7)]
        wrong = (z.argmax(axis=-1) != labels.argmax(axis=-1)).mean(axis=1)
    assert abs(bounds.zero_one_risk(law, labels) - wrong.mean()) < 4 * wrong.std() / np.sqrt(len(z))


def test_risks_of_deterministic_outputs():
    law = ntkinfo.Marginals(np.array([[0.5], [-0.5], [0.0]]), np.zeros(3))
    assert bounds.zero_one_risk(law, np.array([1.0, 1.0, 1.0])) == pytest.approx((0 + 1 + 0.5) / 3)
    assert bounds.clipped_square_risk(law, np.array([0.0, 0.0, 5.0]), 1.0) == pytest.approx((0.25 + 0.25 + 1) / 3)


def test_table_of_bounds(linear_model):
    model = linear_model(n=12, m=5, parameters=14, frozen=0)
    ensemble = model.ensemble()
    taus = np.geomspace(1e-4, 1e4, 9)
    table = ntkinfo.generalisation_bounds(ensemble, taus, y_test=model.y_test, scale=4.0)
    law = ensemble.marginals(taus, on="train")
    np.testing.assert_allclose(table.train_risk, bounds.clipped_square_risk(law, model.y, 4.0))
    for name in table.bounds:
        assert (table.risk_bound(name) >= table.train_risk).all()
        np.testing.assert_array_equal(table.vacuous(name), table.risk_bound(name) >= 1)
    assert table.vacuous("McAllester")[-1]
    assert not table.vacuous("Seeger-Maurer")[0]
    columns = {"tau", "train_risk", "test_risk", "parameter_kl_bits", "seeger_maurer", "seeger_maurer_vacuous"}
    assert columns <= set(table.to_frame())
    assert table.assumptions()["assumption"].str.len().min() > 20


@pytest.fixture(scope="module")
def default_task():
    """The default task of the command line at times where McAllester's bound stops to say anything."""
    data = ntkinfo.gaussian_task(100, 200, seed=0)
    kernels = ntkinfo.kernels.dense(data.x_train, data.x_test)
    without = replace(kernels, omega=None, omega_test_train=None, omega_test=None)
    return ntkinfo.Ensemble(kernels, data.y_train), ntkinfo.Ensemble(without, data.y_train), data


def test_pac_bayes_takes_the_third_kernel_and_names_the_linearised_kl(default_task):
    """At τ = .316 McAllester's bound reads .874 with the linearised KL, and is vacuous with that of the network."""
    ensemble, without, _ = default_task
    tau = 10**-0.5
    linearised = ntkinfo.generalisation_bounds(without, tau)
    table = ntkinfo.generalisation_bounds(ensemble, tau)
    risk = float(table.train_risk[0])
    np.testing.assert_allclose(table.kl, quantities.parameter_kl_infinite_width(ensemble, [tau]))
    assert table.risk_bound("McAllester")[0] == bounds.mcallester(risk, float(table.kl[0]), 100).value
    assert table.risk_bound("McAllester")[0] == pytest.approx(1.004, abs=5e-4)
    assert table.vacuous("McAllester")[0]
    assert not linearised.vacuous("McAllester (linearised KL)")[0]
    assert linearised.risk_bound("McAllester (linearised KL)")[0] == pytest.approx(0.874, abs=5e-4)
    for name in linearised.bounds:
        assert "linearised" in name
    pac_bayes = [name for name in table.bounds if table.bounds[name][0].relation is Relation.UPPER]
    assert pac_bayes == ["McAllester", "Seeger-Maurer", "Catoni-Alquier"]
    assert all(row[0].relation is Relation.ESTIMATE for row in linearised.bounds.values())
    columns = set(linearised.to_frame())
    assert {"parameter_kl_linearised_bits", "mcallester_linearised_kl", "mcallester_linearised_kl_vacuous"} <= columns
    assert "parameter_kl_infinite_width_bits" in table.to_frame()
    (xu,) = [name for name in table.bounds if "Xu" in name]
    assert "one data set" in xu
    assert table.bounds[xu][0].relation is Relation.ESTIMATE


def test_the_description_says_for_every_bound_what_it_is(default_task):
    _, without, _ = default_task
    table = ntkinfo.generalisation_bounds(without, [0.05, 5.0])
    text = table.describe(width=10**6)
    (linearised,) = [line for line in text.splitlines() if line.startswith("McAllester (linearised KL)")]
    assert "estimate of a bound on the risk" in linearised
    assert "vacuous at 1 of 2 times" in linearised
    for row in (table.bounds | table.heuristics).values():
        assert row[0].assumption in text
    assert max(map(len, table.describe(width=80).splitlines())) <= 80
    (first, *_) = [line.split() for line in str(table).splitlines() if line.strip().startswith("0.05 ")]
    assert float(first[1]) == pytest.approx(table.train_risk[0], rel=1e-3)
    assert max(map(len, str(table).splitlines())) <= 120  # where no terminal says how wide it is


def test_last_layer_training_has_the_exact_kl_without_a_third_kernel(default_task):
    ensemble, _, data = default_task
    last = ntkinfo.Ensemble(ensemble.kernels, data.y_train, mode="nngp")
    table = ntkinfo.generalisation_bounds(last, [0.1])
    assert "McAllester" in table.bounds
    np.testing.assert_allclose(table.kl, quantities.parameter_kl(last, [0.1]))


def test_a_heuristic_is_no_bound_and_is_not_drawn_among_bounds(default_task):
    """The input-compression value lies below the test risk, which a bound on the risk may not."""
    from matplotlib.figure import Figure

    ensemble, _, data = default_task
    table = ntkinfo.generalisation_bounds(ensemble, np.geomspace(0.1, 2, 6), y_test=data.y_test)
    assert set(table.heuristics) == {"input compression"}
    assert "input compression" not in table.bounds
    below = table.risk_bound("input compression") < table.test_risk
    assert below.any()
    frame = table.to_frame()
    np.testing.assert_array_equal(frame["input_compression_heuristic"] < frame["test_risk"], below)
    assert not any(name.endswith("heuristic_vacuous") for name in frame)
    ax = ntkinfo.plotting.plot_bounds(table, ax=Figure().subplots())
    drawn = [line.get_label() for line in ax.lines]
    assert not any("compression" in label for label in drawn)
    for name in table.bounds:
        assert (table.risk_bound(name) >= table.test_risk).all()


def test_a_table_is_saved_and_loaded(default_task, tmp_path):
    ensemble, without, data = default_task
    for table in (
        ntkinfo.generalisation_bounds(ensemble, [0.1, 1.0], y_test=data.y_test),
        ntkinfo.generalisation_bounds(without, [0.1], loss="clipped_square"),
    ):
        table.save(tmp_path / "bounds.npz")
        loaded = ntkinfo.BoundsTable.load(tmp_path / "bounds.npz")
        assert loaded.bounds == table.bounds
        assert loaded.heuristics == table.heuristics
        assert loaded.kl_model is table.kl_model
        assert loaded.describe() == table.describe()
        assert "]_" not in table.describe()
        assert loaded.to_frame("nats").equals(table.to_frame("nats"))
    np.testing.assert_allclose(table.to_frame()["parameter_kl_linearised_bits"], table.kl / np.log(2))


@pytest.mark.parametrize("settings", [{"learning_rule": ntkinfo.GradientDescent(1e-3)}, {"ridge": 0.1}])
def test_other_rules_have_the_linearised_kl_though_there_is_a_third_kernel(default_task, settings):
    ensemble, _, data = default_task
    table = ntkinfo.generalisation_bounds(ntkinfo.Ensemble(ensemble.kernels, data.y_train, **settings), [0.1])
    assert table.kl_model is bounds.ParameterModel.LINEARISED


def test_bounds_refuse_a_centred_ensemble(linear_model):
    """Its predictor f(θ) - f(θ_0) has no randomness left given D: no prior predictor is within a finite KL."""
    ensemble = linear_model().ensemble(centred=True)
    with pytest.raises(ValueError, match="centred"):
        ntkinfo.generalisation_bounds(ensemble, [1.0])


def test_table_refuses_labels_outside_the_loss_before_the_work(linear_model):
    ensemble = linear_model().ensemble()
    with pytest.raises(ValueError, match=r"needs labels -1 or \+1"):
        ntkinfo.generalisation_bounds(ensemble, [1.0], loss="zero_one")
    assert "nngp_modes" not in vars(ensemble)


@pytest.mark.parametrize("margins", [[3.0, -2.0, 1.0], [-9.0, 4.0]])
def test_risk_over_classes_to_all_digits(margins):
    """P(some output is above the true class's), by integration in 30 digits."""
    law = ntkinfo.Marginals(np.append(0.0, -np.array(margins))[None], np.ones(1))
    with mp.workdps(30):

        def wrong(x):
            return mp.npdf(x) * -mp.expm1(mp.fsum(mp.log1p(-mp.erfc((m + x) / mp.sqrt(2)) / 2) for m in margins))

        places = sorted({-m / 2 + s for m in margins for s in (-8, -3, 0, 3, 8)} | {-12, 0, 12})
        truth = float(mp.quad(wrong, [-mp.inf, *places, mp.inf]))
    found = float(bounds.zero_one_risk(law, np.eye(len(margins) + 1)[:1]))
    assert found == pytest.approx(truth, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("margin", [-3.0, 0.0, 0.5, 12.0, 40.0, 70.0, 1e6])
def test_risk_of_two_classes_has_its_digits_however_small_it_is(margin):
    law = ntkinfo.Marginals(np.array([[0.0, -margin]]), np.ones(1))
    found = float(bounds.zero_one_risk(law, np.array([[1.0, 0.0]])))
    assert found == pytest.approx(float(ndtr(-margin / np.sqrt(2))), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("gap", [1e-30, 1e-8, 0.3, 0.999999, 3.0])
@pytest.mark.parametrize("sigma", [1e-30, 1e-9, 1e-3, 0.2, 0.999, 1.001, 30.0, 1e6, 1e15])
def test_clipped_risk_to_all_digits(gap, sigma):
    found = float(bounds.clipped_square_risk(ntkinfo.Marginals(np.array([[gap]]), np.array([sigma**2])), [0.0]))
    with mp.workdps(80):
        d, s = mp.mpf(gap), mp.mpf(sigma)
        low, high = (-1 - d) / s, (1 - d) / s
        outside = (mp.erfc(-low / mp.sqrt(2)) + mp.erfc(high / mp.sqrt(2))) / 2
        truth = (d**2 + s**2) * (1 - outside) + s * (mp.npdf(low) * (d - 1) - mp.npdf(high) * (d + 1)) + outside
    assert found == pytest.approx(float(truth), rel=1e-9)
