"""β at which more clusters are needed than fit are left out of a curve, and named; those that fit are kept."""

import numpy as np
import pytest

from dualib import IB, Joint, curve_points, information_curve, local_critical_beta
from dualib.curves.betas import fitting
from dualib.solvers import atoms, columns


@pytest.fixture
def crowded(monkeypatch):
    """A problem of 60 rows of which as many clusters as 40 fit, judged by a sample of 30 of them."""
    monkeypatch.setattr(atoms, "LARGEST_START", 40)
    monkeypatch.setattr(columns, "SAMPLE", 30)
    monkeypatch.setattr(atoms, "LARGEST_PARTS", 60 * 40)
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    problem = IB(Joint.from_conditional(np.full(60, 1 / 60), rows))
    return problem, local_critical_beta(problem) * np.geomspace(0.8, 40.0, 9)


def test_what_fits_is_solved_and_the_note_names_the_others(crowded):
    problem, betas = crowded
    curve = information_curve(problem, betas, certify=False)
    n = len(curve.beta)
    assert 0 < n < len(betas)
    np.testing.assert_array_equal(curve.beta, betas[:n])
    assert columns.fits(problem, float(betas[n - 1]))
    assert not columns.fits(problem, float(betas[n]))
    assert f"{9 - n} of 9 beta are left out, from {betas[n]:.4g} on" in curve.note
    alone = information_curve(problem, betas[:n], certify=False)
    assert "left out" not in alone.note
    np.testing.assert_array_equal(curve.objective, alone.objective)


def test_points_one_by_one_come_with_a_warning(crowded):
    problem, betas = crowded
    n = len(fitting(problem, betas))
    with pytest.warns(UserWarning, match=f"the largest that fits is {betas[n - 1]:.4g}"):
        assert [point.beta for point in curve_points(problem, betas, certify=False)] == list(betas[:n])


def test_where_none_fits_a_smaller_one_is_named(crowded):
    problem, betas = crowded
    with pytest.raises(ValueError, match="needs more clusters than fit for 60 distinct rows") as refused:
        information_curve(problem, betas[-2:], certify=False)
    named = float(str(refused.value).split("take beta = ")[1].split(",")[0])
    assert columns.fits(problem, named)
    assert named < betas[-2]


def test_as_many_rows_as_clusters_fit_are_not_judged_by_a_sample(crowded, monkeypatch):
    problem, betas = crowded
    for most, whole in ((59, False), (60, True)):
        monkeypatch.setattr(atoms, "LARGEST_PARTS", 60 * most)
        assert columns.fits(problem, float(betas[-1])) is whole
