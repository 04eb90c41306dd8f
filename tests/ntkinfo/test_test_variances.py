"""Kernels with the variances of the test points alone: all that concerns one point at a time, as from the whole block."""

from dataclasses import replace

import numpy as np
import pytest

import ntkinfo
from ntkinfo import resources
from ntkinfo.kernels import recursion

JOINT = {"data_information_joint", "bayes_nll_joint"}
TAUS = [0.0, 0.3, 20.0, np.inf]


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    x, x_test = rng.standard_normal((30, 4)), rng.standard_normal((70, 4))
    x_test[7] = x[3]  # a training point among them
    return x, x_test, rng.standard_normal((30, 2)), rng.standard_normal((70, 2))


def alone(kernels):
    """The same kernels without covariances of the test points."""
    return replace(
        kernels, **{f"{k}_test": np.diagonal(getattr(kernels, f"{k}_test")) for k in ("ntk", "nngp", "omega")}
    )


@pytest.mark.parametrize("options", [{}, {"mode": "nngp"}, {"centred": True}, {"ridge": 0.1}])
@pytest.mark.parametrize("at_once", [2**24, 300])  # in one part, and ten points at a time
def test_every_column_of_single_points_is_that_of_the_whole_block(points, options, at_once, monkeypatch):
    x, x_test, y, y_test = points
    monkeypatch.setattr("ntkinfo.eigenmodes.LARGEST_BATCH", at_once)
    whole = ntkinfo.kernels.dense(x, x_test, hidden_layers=1)
    tables = [
        ntkinfo.timeline(ntkinfo.Ensemble(kernels, y, **options), TAUS, y_test=y_test, progress=False)
        for kernels in (whole, alone(whole))
    ]
    assert set(tables[0].values) - set(tables[1].values) == JOINT
    for name in tables[1].values:
        np.testing.assert_allclose(tables[1][name], tables[0][name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_what_needs_covariances_is_named_with_the_reason(points):
    x, x_test, y, y_test = points
    ensemble = ntkinfo.Ensemble(alone(ntkinfo.kernels.dense(x, x_test, hidden_layers=1)), y)
    table = ntkinfo.timeline(ensemble, [1.0], y_test=y_test, progress=False)
    for name in JOINT:
        assert table.settings["left_out"][name] == str(ntkinfo.quantities.Condition.TEST_COVARIANCES)
        assert f"{name}: the kernels have the variances of the test points alone" in table.describe(width=10**6)
    for refused in (lambda: ensemble.law(1.0), lambda: ensemble.theta_test):
        with pytest.raises(ValueError, match=r"shape \(70,\), the variances of the test points alone"):
            refused()


def test_they_are_computed_without_the_block(points):
    x, x_test, *_ = points
    whole = ntkinfo.kernels.dense(x, x_test, hidden_layers=1)
    for found in (
        ntkinfo.kernels.dense(x, x_test, hidden_layers=1, test_variances=True),
        ntkinfo.Kernels.compute(recursive, x, x_test, jit=False, test_variances=True),
    ):
        for name in ("ntk", "nngp"):
            np.testing.assert_allclose(getattr(found, f"{name}_test"), np.diagonal(getattr(whole, f"{name}_test")))
            np.testing.assert_allclose(getattr(found, f"{name}_test_train"), getattr(whole, f"{name}_test_train"))


def recursive(a, b, get):
    return recursion.recursion(a, b, hidden_layers=1)


def test_the_reported_loss_keeps_training_points_among_the_test_points(points):
    x, x_test, y, y_test = points
    whole = ntkinfo.kernels.dense(x, x_test, hidden_layers=1)
    losses = [
        ntkinfo.timeline(ntkinfo.Ensemble(kernels, y), [1.0], y_test=y_test, digits=True, progress=False).rounding
        for kernels in (whole, alone(whole))
    ]
    for name in losses[1]:
        assert losses[1][name][0] < 1e3 * losses[0][name][0] < np.inf, name


def test_variances_that_belong_to_other_points_are_refused(points):
    x, x_test, *_ = points
    kernels = alone(ntkinfo.kernels.dense(x, x_test, hidden_layers=1))
    with pytest.raises(ValueError, match=r"given the training points, test point 7 has the variance -"):
        replace(kernels, nngp_test=np.where(np.arange(70) == 7, 0.5 * kernels.nngp_test, kernels.nngp_test))
    with pytest.raises(ValueError, match=r"nngp_test\[0\] = -1"):
        replace(kernels, nngp_test=np.where(np.arange(70) == 0, -1.0, kernels.nngp_test))
    with pytest.raises(ValueError, match=r"omega_test - ntk is -.* at test point 5"):
        replace(kernels, omega_test=np.where(np.arange(70) == 5, 0.0, kernels.omega_test))


def test_a_bound_s_table_and_its_file_take_them(points, tmp_path):
    x, x_test, y, y_test = points
    whole = ntkinfo.kernels.dense(x, x_test, hidden_layers=1)
    alone(whole).save(tmp_path / "kernels.npz")
    kernels = ntkinfo.Kernels.load(tmp_path / "kernels.npz")
    assert not kernels.has_test_covariances
    found, expected = (
        ntkinfo.generalisation_bounds(ntkinfo.Ensemble(k, y), [1.0], y_test=y_test).to_frame() for k in (kernels, whole)
    )
    np.testing.assert_allclose(found.select_dtypes("number"), expected.select_dtypes("number"), rtol=1e-9)


def test_fifty_thousand_test_points_need_no_square_of_theirs():
    whole = resources.needs(20_000, 50_000).memory
    alone = resources.needs(20_000, 50_000, test_variances=True).memory
    square, crossed = 8 * 50_000**2, 8 * 50_000 * 20_000
    assert whole - alone > 2 * square
    assert alone - resources.needs(20_000, 0).memory < 2.2 * crossed  # both kernels between test and training points


@pytest.mark.parametrize("on", ["test", "train"])
def test_pairs_of_points_are_the_same_in_pieces(points, on, monkeypatch):
    x, x_test, y, _ = points
    law = ntkinfo.Ensemble(ntkinfo.kernels.dense(x, x_test, hidden_layers=1), y).marginals(TAUS, on=on)
    n = law.mean.shape[1]

    def informations():
        return [
            ntkinfo.quantities.input_information_kolchinsky_tracey_lower(law),
            ntkinfo.quantities.input_information_kolchinsky_tracey_upper(law),
            ntkinfo.quantities.input_information_infonce(law, seed=0, samples=3).value,
            ntkinfo.quantities.input_information_leave_one_out_sampled(law, seed=0, samples=3).value,
        ]

    whole = informations()
    for pairs in (n * n, n * n - 1, 7 * n, 1):  # at once, in two pieces, seven rows and one row at a time
        monkeypatch.setattr("ntkinfo.quantities.inputs.PAIRS", pairs)
        np.testing.assert_allclose(informations(), whole, rtol=1e-12)
