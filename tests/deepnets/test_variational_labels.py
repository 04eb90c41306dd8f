"""Label models: with label noise the dual is an IB of another uncertainty, whose decoder is linked to p(y|z)."""

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

import deepnets
import dualib
from deepnets.tasks import Task, one_hot
from deepnets.variational import VIB, Confusion, Exact, OneHot, Smoothed, Teacher, VariationalDualIB, fit_variational
from deepnets.variational.label_models import link, uncertainty, undo_link
from deepnets.variational.patterns import Patterns
from dualib import DualIB, Joint


def confusions():
    rng = np.random.default_rng(0)
    random = rng.dirichlet(np.ones(4), 4) + 0.5 * np.eye(4)
    return [Smoothed(0.2).confusion(3), Smoothed(1e-6).confusion(10), random / random.sum(axis=1, keepdims=True)]


@pytest.mark.parametrize("c", confusions(), ids=["smoothed", "nearly one-hot", "general"])
def test_the_dual_on_noisy_labels_is_another_uncertainty_plus_a_divergence_from_the_link(c):
    """E_y~p D(d ‖ C_y) = D(d ‖ q) + h(p), and q is the minimum."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        p, d = rng.dirichlet(np.full(len(c), 0.5), 2)
        whole = sum(p[y] * rel_entr(d, c[y]).sum() for y in range(len(c)))
        q, h = link(p, np.log(c)), uncertainty(p, np.log(c))
        assert whole == pytest.approx(rel_entr(d, q).sum() + h, abs=1e-12)
        assert h >= -1e-15
        np.testing.assert_allclose(undo_link(np.log(q), np.log(c), floor=0.0), p, atol=1e-9)


def test_uniform_smoothing_has_the_softmax_as_its_link_and_nearly_the_error_as_its_uncertainty():
    alpha, k = 0.05, 5
    c = Smoothed(alpha).confusion(k)
    scale = np.log((1 - alpha) * (k - 1) / alpha)
    np.testing.assert_allclose(c.sum(axis=1), 1.0, atol=1e-15)
    p = np.random.default_rng(2).dirichlet(np.ones(k), 20)
    np.testing.assert_allclose(link(p, np.log(c)), softmax(scale * p, axis=1), rtol=1e-12)
    log_d = np.log(link(p, np.log(c)))
    by_hand = (log_d - log_d.mean(axis=1, keepdims=True)) / scale + 1 / k
    np.testing.assert_allclose(undo_link(log_d, np.log(c), floor=0.0), by_hand, atol=1e-12)
    for a, tolerance in ((1e-30, 0.06), (1e-200, 0.01)):
        c = Smoothed(a).confusion(k)
        ratio = uncertainty(p, np.log(c)) / np.log((1 - a) * (k - 1) / a)
        np.testing.assert_allclose(ratio, 1 - p.max(axis=1), atol=tolerance)


def test_the_best_decoder_on_smoothed_labels_is_the_link_of_the_bayes_decoder():
    """On proven optima of the dual of the joint with rows q_x = softmax(Λ p_x)."""
    rng, c = np.random.default_rng(3), np.log(Smoothed(0.1).confusion(3))
    law = Joint.from_conditional(rng.dirichlet(np.ones(5)), rng.dirichlet(np.full(3, 0.4), 5))
    noisy = Joint.from_conditional(law.p_x, link(law.p_y_given_x, c))
    for beta in (1.0, 5.0):
        found = dualib.solve(DualIB(noisy), beta)
        assert found.certified
        p_xt = law.p_x[:, None] * found.p_t_given_x
        bayes = p_xt.T @ law.p_y_given_x / p_xt.sum(axis=0)[:, None]
        np.testing.assert_allclose(found.p_y_given_t, link(bayes, c), atol=1e-7)


def test_another_law_of_the_labels_moves_the_optimum_by_no_more_than_its_log_ratio():
    rng = np.random.default_rng(4)
    law = Joint.from_conditional(np.full(4, 0.25), rng.dirichlet(np.ones(3), 4))
    other = Joint.from_conditional(np.full(4, 0.25), 0.8 * law.p_y_given_x + 0.2 / 3)
    for beta in (0.5, 3.0, 20.0):
        a, b = (dualib.solve(DualIB(j), beta) for j in (law, other))
        most = beta * np.abs(np.log(other.p_y_given_x / law.p_y_given_x)).max(axis=1).mean()
        assert abs(a.objective - b.objective) <= most + 1e-8


def task_of(n=400, seed=0):
    """Three classes of two dimensions whose normals overlap."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = 1.5 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])[y] + rng.standard_normal((n, 2))
    return Task("overlap", x, y, one_hot(y, 3))


@pytest.mark.parametrize("model", [OneHot(), Exact(), Smoothed(0.2), Confusion(), Teacher()], ids=str)
def test_rows_are_distributions(model):
    patterns = Patterns.of(task_of())
    rows = model.rows(patterns, np.arange(10, 310), 0)
    np.testing.assert_allclose(np.exp(rows.log_rows).sum(axis=1), 1.0, atol=1e-12)
    assert rows.log_rows.shape == (300, 3)
    if rows.log_confusion is not None:
        np.testing.assert_allclose(np.exp(rows.log_confusion).sum(axis=1), 1.0, atol=1e-12)


def test_a_cross_fitted_teacher_never_saw_the_labels_of_its_half():
    """Labels without a rule: what is fitted to the pattern itself would know them."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((120, 60)), rng.integers(0, 2, 120)
    patterns = Patterns.of(Task("coins", x, y, one_hot(y, 2)))
    log_rows = Teacher().rows(patterns, np.arange(120), 0).log_rows
    assert abs((log_rows.argmax(axis=1) == y).mean() - 0.5) < 4 * np.sqrt(0.25 / 120)


def test_what_a_label_model_cannot_give_is_refused_before_training():
    law, digits = Joint([[0.4, 0.1], [0.1, 0.4]]), deepnets.digits_task()
    tables = {"encoder": "categorical", "code_dim": 2, "betas": [1.0]}
    with pytest.raises(ValueError, match=r"Exact\(\)"):
        fit_variational(VIB(), law, **tables)
    with pytest.raises(ValueError, match="Smoothed"):
        fit_variational(VariationalDualIB(OneHot()), digits, betas=[1.0])
    with pytest.raises(ValueError, match=r"for a joint: give task\.joint"):
        fit_variational(VIB(), digits, **tables)
    with pytest.raises(ValueError, match="no x"):
        fit_variational(VIB(Exact()), law, betas=[1.0])
    with pytest.raises(ValueError, match="two training patterns"):
        fit_variational(VIB(Teacher()), digits, betas=[1.0], train_fraction=0.01)
    with pytest.raises(ValueError, match="alpha"):
        Smoothed(1.5)
    with pytest.raises(ValueError, match="one-to-one"):
        undo_link(np.log([[0.5, 0.5]]), np.log(np.full((2, 2), 0.5)))
