"""Curves from samples of a known joint: bias, coverage, the expectation bound, and the clusters that are really there."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import dualib
from dualib.measures import kl_divergence, mutual_information
from dualib.sampling.held_out import learn
from dualib.sampling.resamples import deal


def three_clusters():
    """12 x in three groups with the same p(y|x) within a group."""
    rows = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])[np.arange(12) % 3]
    return dualib.Joint.from_conditional(np.full(12, 1 / 12), rows)


def random_rows():
    """6 x with rows drawn from the flat Dirichlet distribution: every sample overstates what they tell apart."""
    rows = np.random.default_rng(5).dirichlet(np.ones(3), size=6)
    return dualib.Joint.from_conditional(np.full(6, 1 / 6), rows)


def draw(joint, n, rng):
    """A table of n samples."""
    return rng.multinomial(n, joint.p_xy.ravel()).reshape(joint.p_xy.shape)


def sampled(joint, n, rng):
    return dualib.Joint.from_counts(draw(joint, n, rng))


def smoothed_dual(joint):
    return dualib.DualIB(joint.smoothed(pseudocount=0.5))


BETAS = (2.0, 4.0, 10.0)


# --- bootstrap ---


@pytest.mark.slow
def test_correction_removes_the_bias_of_the_relevance_and_intervals_cover():
    joint, rng, n = random_rows(), np.random.default_rng(0), 24
    betas = dualib.local_critical_beta(dualib.IB(joint)) * np.array([1.5, 8.0, 30.0])
    truth = dualib.information_curve(dualib.IB(joint), betas, certify=False).relevance
    plug_in, corrected, covered = np.empty((3, n, len(betas)))
    for i in range(n):
        c = dualib.bootstrap_curve(sampled(joint, 400, rng), betas, n_bootstrap=20, seed=i, level=0.9)
        plug_in[i], corrected[i] = c.plug_in["relevance"] - truth, c.corrected["relevance"] - truth
        covered[i] = (c.low["relevance"] <= truth) & (truth <= c.high["relevance"])
    # Averages over the curve, one number a sample, so that the standard error is that of independent draws.
    before, after = plug_in.mean(axis=1), corrected.mean(axis=1)
    error = after.std(ddof=1) / np.sqrt(n)
    assert before.mean() > 3 * before.std(ddof=1) / np.sqrt(n)
    assert abs(after.mean()) < 3 * error
    assert abs(after.mean()) < 0.5 * before.mean()
    assert 0.75 < covered.mean() <= 1.0  # nominal 0.9


def test_basic_interval_mirrors_the_resampled_quantiles():
    sample = sampled(three_clusters(), 300, np.random.default_rng(6))
    c = dualib.bootstrap_curve(sample, [4.0], n_bootstrap=40, level=0.5)
    for name in ("rate", "relevance", "distortion", "objective"):
        np.testing.assert_allclose(c.corrected[name], c.plug_in[name] - c.bias[name])
        np.testing.assert_array_equal(c.plug_in[name], getattr(c.curve, name))
        assert c.low[name] < c.high[name]
        assert c.high[name] - c.low[name] < 4 * c.standard_error[name]
    # The bias of F is the overfitting: the sample's rows differ where the population's do not.
    assert c.bias["objective"] > 0


def test_symbols_that_vanish_count_as_no_information():
    # Of the four resamples of {(0,0), (1,1)} two hold one symbol: I(T;Y) is 0 or log 2.
    c = dualib.bootstrap_curve(dualib.Joint.from_counts([[1, 0], [0, 1]]), [10.0], n_bootstrap=200)
    lost = -c.bias["relevance"][0] / np.log(2) * 200
    assert abs(lost - round(lost)) < 1e-6
    assert abs(lost - 100) < 4 * np.sqrt(50)
    # A row seen once is missing from 37% of the resamples; the others are what remains.
    c = dualib.bootstrap_curve(dualib.Joint.from_counts([[30, 5], [5, 30], [1, 0]]), [5.0], n_bootstrap=50)
    assert np.isfinite(c.to_frame().to_numpy()).all()


def test_same_seed_same_numbers_and_smoothing_is_the_users():
    sample = sampled(three_clusters(), 200, np.random.default_rng(3))
    first, second = (dualib.bootstrap_curve(sample, [3.0], smoothed_dual, n_bootstrap=3, seed=5) for _ in range(2))
    other = dualib.bootstrap_curve(sample, [3.0], smoothed_dual, n_bootstrap=3, seed=6)
    assert first.to_frame("bits").equals(second.to_frame("bits"))
    assert not first.to_frame().equals(other.to_frame())
    np.testing.assert_allclose(first.to_frame("bits")["rate_low_bits"] * np.log(2), first.low["rate"])
    exact = dualib.solve(smoothed_dual(sample), 3.0, certify=False)
    np.testing.assert_allclose(first.plug_in["objective"], exact.objective, atol=1e-9)


def test_the_executor_changes_no_number():
    sample = sampled(three_clusters(), 200, np.random.default_rng(7))
    with ThreadPoolExecutor(2) as executor:
        one, two = (dualib.bootstrap_curve(sample, [3.0], n_bootstrap=4, executor=e) for e in (executor, None))
        three, four = (dualib.held_out_relevance(sample, [3.0], n_folds=3, executor=e) for e in (executor, None))
    assert one.to_frame().equals(two.to_frame())
    assert three.to_frame().equals(four.to_frame())


# --- held out ---


def test_folds_deal_every_sample_once_and_fairly():
    counts = draw(three_clusters(), 203, np.random.default_rng(8))
    deals = np.array([deal(counts, 5, np.random.default_rng(s)) for s in range(400)])
    np.testing.assert_array_equal(deals.sum(axis=1), np.broadcast_to(counts, (400, *counts.shape)))
    assert set(deals.sum(axis=(2, 3)).ravel().tolist()) == {40, 41}
    assert deals.min() >= 0
    share = deals[:, 0].sum(axis=(1, 2)).mean() / 203
    error = deals[:, 0].std(axis=0, ddof=1) / 20
    assert np.all(np.abs(deals[:, 0].mean(axis=0) - share * counts) <= 4.5 * error)


@pytest.mark.slow
def test_held_out_relevance_finds_the_clusters_where_plug_in_keeps_rising():
    joint, rng, n = three_clusters(), np.random.default_rng(1), 12
    betas = np.geomspace(1.0, 200.0, 9)
    found = [dualib.held_out_relevance(sampled(joint, 300, rng), betas, seed=i) for i in range(n)]
    assert np.mean([h.one_standard_error_clusters == 3 for h in found]) >= 0.9
    assert np.mean([h.n_clusters[h.best] == 3 for h in found]) >= 0.6
    assert all(h.one_standard_error_beta <= h.best_beta and h.n_clusters[-1] > 3 for h in found)
    assert all(np.all(np.diff(h.plug_in) > -1e-3) for h in found)
    three = int(np.argmin(np.abs(betas - 6)))
    gain = np.array([h.plug_in[-1] - h.plug_in[three] for h in found])
    loss = np.array([h.mean[three] - h.mean[-1] for h in found])
    for change in (gain, loss):
        assert change.mean() > 4 * change.std(ddof=1) / np.sqrt(n)
    excess = np.array([h.plug_in - h.mean for h in found])[:, three:]
    assert np.all(excess.mean(axis=0) > 0)
    np.testing.assert_allclose(found[0].mean[0], 0.0, atol=1e-12)  # β = 1: one cluster tells nothing


@pytest.mark.parametrize("make_problem", [dualib.IB, smoothed_dual], ids=["ib", "dual"])
def test_held_out_relevance_is_a_lower_bound_on_average(make_problem):
    """Against I(T;Y) of the very encoders on the population, with the held-out part in the limit of infinitely many."""
    joint, rng, n = three_clusters(), np.random.default_rng(2), 20
    excess = np.empty((n, len(BETAS)))
    for i in range(n):
        learned = learn(draw(joint, 240, rng), make_problem, np.array(BETAS), 0.5)
        expected = np.einsum("xy,bxy->b", joint.p_xy, learned.gain)
        excess[i] = expected - [mutual_information(q.T @ joint.p_xy) for q in learned.encoders]
    assert np.all(excess.mean(axis=0) <= 4 * excess.std(axis=0, ddof=1) / np.sqrt(n))
    # Measured folds scatter about that expectation.
    folds = [dualib.held_out_relevance(sampled(joint, 300, rng), BETAS, make_problem, seed=i).mean for i in range(n)]
    assert np.all(np.mean(folds, axis=0) <= joint.mutual_information() + 4 * np.std(folds, axis=0, ddof=1) / np.sqrt(n))


def test_expectation_exceeds_the_population_by_the_weights_error_at_most():
    """E Î ≤ I(T;Y) + D(p(t) ‖ p̃(t)) for every single training part, by the chain rule."""
    joint, rng = random_rows(), np.random.default_rng(9)
    for _ in range(10):
        train = draw(joint, 200, rng)
        learned = learn(train, dualib.IB, np.array([4.0, 12.0, 60.0]), 1e-12)
        for gain, encoder in zip(learned.gain, learned.encoders, strict=True):
            weights = encoder.T @ joint.p_x
            slack = kl_divergence(weights, encoder.T @ (train.sum(axis=1) / train.sum()))
            assert (gain * joint.p_xy).sum() <= mutual_information(encoder.T @ joint.p_xy) + slack + 1e-9


def test_unseen_x_is_encoded_by_the_prior():
    train = np.array([[30, 2], [0, 0], [3, 25]])
    (encoder,) = learn(train, dualib.IB, np.array([8.0]), 0.5).encoders
    np.testing.assert_allclose(encoder[1], encoder[[0, 2]].T @ np.array([32, 28]) / 60, atol=1e-7)
    nothing = learn(np.array([[3, 0], [2, 0]]), dualib.IB, np.array([8.0]), 0.5)
    assert not nothing.gain.any()


def test_held_out_table_and_seed():
    sample = sampled(three_clusters(), 200, np.random.default_rng(10))
    first, second = (dualib.held_out_relevance(sample, BETAS, smoothed_dual, seed=4).to_frame("nats") for _ in range(2))
    assert first.equals(second)
    assert not first.equals(dualib.held_out_relevance(sample, BETAS, smoothed_dual, seed=5).to_frame())
    assert list(first)[:2] == ["beta", "n_clusters"]
    bits = dualib.held_out_relevance(sample, BETAS, smoothed_dual, seed=4).to_frame("bits")
    np.testing.assert_allclose(bits["mean_bits"] * np.log(2), first["mean_nats"])


# --- bad input ---


def test_bad_input():
    exact = three_clusters()
    sample = sampled(exact, 100, np.random.default_rng(4))
    thin = dualib.Joint.from_counts([[9, 1], [1, 9]])
    for call, message in (
        (lambda: dualib.bootstrap_curve(exact, BETAS), "from_samples or Joint.from_counts"),
        (lambda: dualib.held_out_relevance(exact, BETAS), "from_samples or Joint.from_counts"),
        (lambda: dualib.bootstrap_curve(sample.smoothed(pseudocount=0.5), BETAS), "smooth in make_problem"),
        (lambda: dualib.bootstrap_curve(thin, BETAS, dualib.DualIB), "make_problem refuses a bootstrap resample"),
        (lambda: dualib.held_out_relevance(thin, BETAS, dualib.DualIB), "Smooth inside make_problem"),
        (lambda: dualib.bootstrap_curve(sample, BETAS, n_bootstrap=1), "n_bootstrap = 1"),
        (lambda: dualib.bootstrap_curve(sample, BETAS, level=1.0), "level = 1.0"),
        (lambda: dualib.bootstrap_curve(sample, [-1.0]), "beta must be finite and > 0"),
        (lambda: dualib.bootstrap_curve(sample, []), "betas is empty"),
        (lambda: dualib.held_out_relevance(sample, []), "betas is empty"),
        (lambda: dualib.held_out_relevance(sample, BETAS, n_folds=1), "n_folds = 1"),
        (lambda: dualib.held_out_relevance(sample, BETAS, pseudocount=0.0), "pseudocount = 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
