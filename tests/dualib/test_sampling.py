"""Curves from samples of a known joint: bias, coverage, and the number of clusters that is really there."""

import numpy as np
import pytest

import dualib


def three_clusters():
    """12 x in three groups with the same p(y|x) within a group."""
    rows = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])[np.arange(12) % 3]
    return dualib.Joint.from_conditional(np.full(12, 1 / 12), rows)


def sampled(joint, n, rng):
    return dualib.Joint.from_counts(rng.multinomial(n, joint.p_xy.ravel()).reshape(joint.p_xy.shape))


BETAS = (2.0, 4.0, 10.0)


def test_correction_removes_bias_and_intervals_cover():
    joint, rng = three_clusters(), np.random.default_rng(0)
    truth = dualib.information_curve(dualib.IB(joint), BETAS).relevance
    plug_in, corrected, covered = [], [], []
    for seed in range(25):
        c = dualib.bootstrap_curve(sampled(joint, 400, rng), BETAS, n_bootstrap=30, seed=seed, level=0.9)
        plug_in.append(c.plug_in["relevance"] - truth)
        corrected.append(c.corrected["relevance"] - truth)
        covered.append((c.low["relevance"] <= truth) & (truth <= c.high["relevance"]))
    bias, rest = np.mean(plug_in, axis=0), np.mean(corrected, axis=0)
    error = np.std(corrected, axis=0, ddof=1) / 5
    # At β = 2, near the transition of the population, the sample's curve is far too high.
    assert bias[0] > 3 * np.std(plug_in, axis=0, ddof=1)[0] / 5
    assert np.all(np.abs(rest) < np.maximum(np.abs(bias), 0.01) + 2 * error)
    assert abs(rest[0]) < 0.8 * bias[0] + 2 * error[0]
    assert np.mean(covered) > 0.75


def test_held_out_relevance_finds_the_clusters():
    joint, rng = three_clusters(), np.random.default_rng(1)
    betas = np.geomspace(1.0, 200.0, 15)
    h = dualib.held_out_relevance(sampled(joint, 3000, rng), betas)
    assert h.n_clusters[h.simplest] == 3
    assert h.n_clusters[-1] > 3
    assert np.all(np.diff(h.plug_in) > -1e-3)
    assert h.mean[-1] < h.mean[h.best]
    assert h.one_standard_error_beta <= h.best_beta
    assert np.all(h.mean[-4:] < h.plug_in[-4:])


def test_held_out_relevance_is_a_lower_bound_on_average():
    joint, rng = three_clusters(), np.random.default_rng(2)
    values = [dualib.held_out_relevance(sampled(joint, 500, rng), BETAS, seed=s).mean for s in range(20)]
    error = np.std(values, axis=0, ddof=1) / np.sqrt(20)
    slack = (joint.n_y - 1) / (2 * 400)  # D(p(y) || p_train(y)) in expectation
    assert np.all(np.mean(values, axis=0) <= joint.mutual_information() + slack + 4 * error)


def test_same_seed_same_numbers_and_smoothing_is_the_users():
    sample = sampled(three_clusters(), 200, np.random.default_rng(3))

    def smoothed_dual(joint):
        return dualib.DualIB(joint.smoothed(pseudocount=0.5))

    first, second = (dualib.bootstrap_curve(sample, [3.0], smoothed_dual, n_bootstrap=3, seed=5) for _ in range(2))
    assert first.to_frame("bits").equals(second.to_frame("bits"))
    np.testing.assert_allclose(first.to_frame("bits")["rate_low_bits"] * np.log(2), first.low["rate"])
    assert list(dualib.held_out_relevance(sample, [3.0], smoothed_dual).to_frame())[1] == "n_clusters"


def test_bad_input():
    exact = three_clusters()
    sample = sampled(exact, 100, np.random.default_rng(4))
    for call, message in (
        (lambda: dualib.bootstrap_curve(exact, BETAS), "from_samples or Joint.from_counts"),
        (lambda: dualib.held_out_relevance(exact, BETAS), "from_samples or Joint.from_counts"),
        (lambda: dualib.bootstrap_curve(sample.smoothed(pseudocount=0.5), BETAS), "smooth in make_problem"),
        (lambda: dualib.bootstrap_curve(sample, BETAS, n_bootstrap=1), "n_bootstrap = 1"),
        (lambda: dualib.bootstrap_curve(sample, BETAS, level=1.0), "level = 1.0"),
        (lambda: dualib.bootstrap_curve(sample, [-1.0]), "must be positive"),
        (lambda: dualib.held_out_relevance(sample, BETAS, n_folds=1), "n_folds = 1"),
        (lambda: dualib.held_out_relevance(sample, BETAS, pseudocount=0.0), "pseudocount = 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
