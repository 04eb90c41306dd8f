"""Fits go on where they were left, to the same bits; their evaluation brackets what is known; equal rate pairs seeds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from deepnets.tasks import Task, one_hot
from deepnets.variational import CEB, VIB, NonlinearIB, Smoothed, VariationalDualIB, at_equal_rate, fit_variational
from deepnets.variational import fit as fit_module
from deepnets.variational.calibration import inverse_temperature, scores_of, tempered
from deepnets.variational.equal_rate import scores_at_rate
from deepnets.variational.evaluation import Evaluation, Readings, Scores
from deepnets.variational.families import normal_code
from deepnets.variational.steps import Steps

SMALL = {
    "betas": [2.0, 20.0],
    "seeds": 2,
    "code_dim": 2,
    "hidden": (8,),
    "components": 3,
    "batch_size": 64,
    "progress": False,
}


def task_of(n=400, seed=0):
    """Three classes of two dimensions whose normals overlap; a nearest mean is right for 79 of 100."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = 1.5 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])[y] + rng.standard_normal((n, 2))
    return Task("overlap", x, y, one_hot(y, 3))


@pytest.fixture(scope="module")
def fit():
    return fit_variational(VIB(), task_of(), steps=400, learning_rate=0.01, **SMALL)


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    settings = {**SMALL, "steps": 330, "learning_rate": 0.01}
    whole = fit_variational(VariationalDualIB(), task_of(), **settings)
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    advance = Steps.advance

    def killed(self, state, data, betas, step, count):
        if step == 300:
            raise RuntimeError("the machine went down")
        return advance(self, state, data, betas, step, count)

    monkeypatch.setattr(Steps, "advance", killed)
    with pytest.raises(RuntimeError, match="went down"):
        fit_variational(VariationalDualIB(), task_of(), out=tmp_path / "fit", **settings)
    begun = []
    monkeypatch.setattr(Steps, "advance", lambda self, *a: (begun.append(a[3]), advance(self, *a))[1])
    again = fit_variational(VariationalDualIB(), task_of(), out=tmp_path / "fit", **settings)
    assert begun == [300]
    for name, value in whole.params.items():
        np.testing.assert_array_equal(again.params[name], value)
    loaded = fit_variational(VariationalDualIB(), task_of(), out=tmp_path / "fit", **settings)
    assert begun == [300]
    np.testing.assert_array_equal(loaded.params["encoder.w0"], whole.params["encoder.w0"])
    assert loaded.objective == VariationalDualIB(Smoothed(0.1))
    with pytest.raises(ValueError, match="other settings"):
        fit_variational(VariationalDualIB(Smoothed(0.2)), task_of(), out=tmp_path / "fit", **settings)


def test_settings_are_checked_before_any_work():
    for wrong, match in (
        ({"steps": 0}, "steps"),
        ({"train_fraction": 1.5}, "train_fraction"),
        ({"marginal": "cube"}, "marginal"),
    ):
        with pytest.raises(ValueError, match=match):
            fit_variational(VIB(), task_of(), **{**SMALL, **wrong})
    with pytest.raises(TypeError, match="no setting 'stepps'"):
        fit_variational(VIB(), task_of(), stepps=3, **SMALL)
    with pytest.raises(ValueError, match="β must be finite"):
        fit_variational(VIB(), task_of(), **{**SMALL, "betas": [-1.0]})


def test_the_rates_bracket_the_information_of_the_code(fit):
    """I(X;Z) for fresh x by quadrature over the two dimensions of z, of the very mixture of all evaluated patterns."""
    found, s, i = fit.evaluate(progress=False), 0, 1
    x = fit.patterns.x[fit.held_out(s)]
    mean, std = (np.asarray(a, float) for a in normal_code(fit.parameters(s, i), x.astype(np.float32)))
    grid = [np.linspace(mean[:, d].min() - 6, mean[:, d].max() + 6, 301) for d in (0, 1)]
    cell = np.prod([g[1] - g[0] for g in grid])
    density = np.einsum(
        "na,nb->ab", *(norm.pdf(g, mean[:, d, None], std[:, d, None]) for d, g in enumerate(grid))
    ) / len(x)
    entropy = -(density * np.log(np.maximum(density, 1e-300))).sum() * cell
    noise = (np.log(std) + 0.5 * np.log(2 * np.pi * np.e)).sum(axis=1).mean()
    information = entropy - noise
    assert found.rate_lower[s, i] == pytest.approx(information, abs=0.08)
    assert found.rate_mixture[s, i] > information - 0.05
    assert found.rate_bound[s, i] > information - 0.05
    assert (found.rate.low <= found.rate.value).all()
    assert (found.rate_lower < np.log(found.n)).all()
    assert found.rate_lower[0, 0] < found.rate_lower[0, 1]  # rate grows with β


def test_label_information_is_below_what_the_rule_of_the_task_has(fit):
    """I(X;Y) of the two normals' rule bounds I(Z;Y), and a fit at β = 20 finds most of it."""
    rng, found = np.random.default_rng(1), fit.evaluate(progress=False)
    centres = 1.5 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    x = centres[np.zeros(20000, int)] + rng.standard_normal((20000, 2))
    log_p = -0.5 * ((x[:, None] - centres) ** 2).sum(axis=2)
    information = np.log(3) + (log_p[:, 0] - logsumexp(log_p, axis=1)).mean()
    error = 4 * 0.6 / np.sqrt(found.n)
    assert (found.relevance < information + error).all()
    assert (found.relevance[:, 1] > 0.6 * information).all()
    assert found.single.unlinked.nll == pytest.approx(found.single.raw.nll)
    frame = found.to_frame("nats")
    assert len(frame) == 4
    np.testing.assert_allclose(frame["relevance_nats"], found.relevance.ravel())


def test_undoing_the_link_gives_the_dual_its_label_information_back():
    settings = {**SMALL, "steps": 330, "learning_rate": 0.01}  # those of the test above, which are compiled
    found = fit_variational(VariationalDualIB(Smoothed(0.3)), task_of(), **settings).evaluate(progress=False)
    gained = found.single.raw.nll[:, 1] - found.single.unlinked.nll[:, 1]
    assert (gained > 0.005).all()
    np.testing.assert_array_equal(found.single.raw.accuracy, found.single.unlinked.accuracy)


@pytest.mark.parametrize("objective", [CEB(), NonlinearIB()], ids=lambda o: o.name)
def test_the_other_objectives_have_rates_too(fit, objective):
    """Of the same encoders and random marginals: the bounds bracket the same rate."""
    like = fit.evaluate(progress=False)
    of_classes = {name: value[:, :, :3] for name, value in fit.params.items() if name.startswith("marginal")}
    found = replace(fit, objective=objective, params={**fit.params, **of_classes}).evaluate(progress=False)
    np.testing.assert_array_equal(found.rate_lower, like.rate_lower)
    np.testing.assert_array_equal(found.rate_mixture, like.rate_mixture)
    assert (found.rate_lower <= found.rate_bound + 0.05).all()
    if objective.name == "nib":  # pairwise distances bound the entropy of the very mixture
        assert (found.rate_mixture <= found.rate_bound + 0.02).all()


def test_a_temperature_undoes_a_temperature_and_leaves_the_classes():
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((4000, 5))
    log_p = logits - logsumexp(logits, axis=1, keepdims=True)
    y = np.array([rng.choice(5, p=np.exp(row)) for row in log_p])
    assert inverse_temperature(log_p, y) == pytest.approx(1.0, abs=0.06)
    sharp = 3 * log_p - logsumexp(3 * log_p, axis=1, keepdims=True)
    before, after = scores_of(sharp, y), scores_of(tempered(sharp, y, np.arange(4000) % 2), y)
    assert after.nll == pytest.approx(scores_of(log_p, y).nll, abs=2e-3)
    assert before.ece > 0.1 > 0.04 > after.ece
    assert before.accuracy == after.accuracy
    certain = np.log(np.full((10, 2), 0.5))
    assert scores_of(certain, np.zeros(10, int)).nll == pytest.approx(np.log(2))


def evaluation(rates, nll):
    shape = np.shape(rates)
    scores = Scores(np.array(nll), np.full(shape, 0.5), np.zeros(shape))
    readings = Readings(scores, scores, scores, scores)
    rate = np.array(rates, float)
    return Evaluation("made up", np.geomspace(1, 4, shape[1]), rate + 1, rate, rate, 1.0, readings, readings, 10)


def test_at_equal_rate_seeds_are_paired_and_jumps_are_not_crossed():
    a = evaluation([[1.0, 1.4, 1.8], [1.1, 1.3, 1.7], [0.9, 1.3, 3.0]], [[0.5, 0.4, 0.3]] * 3)
    b = replace(
        evaluation(
            [[1.0, 1.4, 1.8], [1.1, 1.3, 1.7], [0.9, 1.3, 1.5]], [[0.7, 0.6, 0.5], [0.8, 0.7, 0.6], [0.6, 0.5, 0.4]]
        )
    )
    found = at_equal_rate({"a": a, "b": b}, 1.2)
    np.testing.assert_allclose(found.values["a"]["nll_single"], [0.45, 0.45, 0.425])
    difference = found.differences["b"]["nll_single"]
    assert difference.value == pytest.approx(0.2)
    assert difference.n == 3
    jumped = at_equal_rate({"a": a, "b": b}, 1.45)
    assert np.isnan(jumped.values["a"]["nll_single"][2])
    assert jumped.differences["b"]["nll_single"].n == 2
    assert jumped.differences["b"]["nll_single"].warnings
    with pytest.raises(ValueError, match="add larger β"):
        at_equal_rate({"a": a}, 9.0)
    with pytest.raises(ValueError, match="add β between"):
        at_equal_rate({"a": a}, 1.2, widest=0.1)
    assert np.isnan(
        scores_at_rate(a, 9.0)["relevance"]
    ).all()  # one fit by itself: what it does not have is said, not refused
    np.testing.assert_array_equal(scores_at_rate(a, 1.2)["nll_single"], found.values["a"]["nll_single"])
    with pytest.raises(ValueError, match="axis must be"):
        scores_at_rate(a, 1.2, axis="rate_lower")
