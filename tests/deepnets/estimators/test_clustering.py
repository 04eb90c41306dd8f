"""Measures of clustering against direct sums and limits."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from deepnets.estimators import Binning, clustering


@pytest.fixture
def labelled():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    return np.tanh(rng.normal(size=(200, 3)) + 0.8 * y[:, None]), y


def test_distances_against_direct_ones(labelled):
    t, y = labelled
    found = clustering(t, np.eye(3)[y], distance_bins=50)
    distance = pdist(t)
    same = pdist(y[:, None].astype(float)) == 0
    assert found.within_mean == pytest.approx(distance[same].mean(), rel=1e-9)
    assert found.between_mean == pytest.approx(distance[~same].mean(), rel=1e-9)
    for shares, chosen in ((found.within, same), (found.between, ~same)):
        expected = np.histogram(distance[chosen], found.distance_edges)[0] / chosen.sum()
        np.testing.assert_allclose(shares, expected, atol=1e-12)
    nearer = (distance[same][:, None] < distance[~same]).mean()
    assert found.separation == pytest.approx(nearer, abs=0.01)


def test_scatter_and_entropy(labelled):
    t, y = labelled
    found = clustering(t, np.eye(3)[y], binning=Binning())
    means = np.array([t[y == k].mean(axis=0) for k in range(3)])
    between = sum((y == k).mean() * ((means[k] - t.mean(axis=0)) ** 2).sum() for k in range(3))
    assert found.scatter_ratio == pytest.approx(between / t.var(axis=0).sum())
    assert found.binned_entropy == Binning().layer(t, np.eye(3)[y]).rate.value


def test_collapsed_classes():
    y = np.repeat([0, 1], 20)
    t = np.eye(2)[y]
    found = clustering(t, np.eye(2)[y])
    assert found.scatter_ratio == pytest.approx(1)
    assert found.within_mean == pytest.approx(0, abs=1e-7)
    assert found.between_mean == pytest.approx(math.sqrt(2))
    assert found.separation == 1
    assert found.binned_entropy == pytest.approx(math.log(2))


def test_unrelated_labels_do_not_separate():
    rng = np.random.default_rng(1)
    found = clustering(rng.normal(size=(400, 2)), np.full((400, 2), 0.5))
    assert found.separation == pytest.approx(0.5, abs=1e-12)  # soft labels that say nothing: the same distances twice
    assert found.scatter_ratio == pytest.approx(0, abs=1e-12)
    assert found.within_mean == pytest.approx(found.between_mean)


def test_weights_count_as_repetitions(labelled):
    t, y = labelled
    t, y, rng = t[:40], y[:40], np.random.default_rng(3)
    counts = rng.integers(1, 4, 40)
    weighted = clustering(t, np.eye(3)[y], counts / counts.sum(), binning=Binning())
    repeated = clustering(np.repeat(t, counts, axis=0), np.eye(3)[np.repeat(y, counts)], binning=Binning())
    assert weighted.between_mean == pytest.approx(repeated.between_mean)
    assert weighted.scatter_ratio == pytest.approx(repeated.scatter_ratio)
    assert weighted.binned_entropy == pytest.approx(repeated.binned_entropy)


def test_degenerate_layers_and_refusals():
    found = clustering(np.ones((3, 2)), np.ones((3, 1)))
    assert found.binned_entropy == 0
    assert found.within_mean == 0
    assert math.isnan(found.between_mean)
    assert math.isnan(found.scatter_ratio)
    assert set(found.to_record("bits")) >= {"H(Bin(T)) [bits]", "separation"}
    with pytest.raises(ValueError, match="at least 2 patterns"):
        clustering([[1.0]], [[1.0]])
    with pytest.raises(ValueError, match="distance_bins = 1"):
        clustering(np.ones((3, 2)), np.ones((3, 1)), distance_bins=1)


def test_densities_of_the_plot_integrate_to_one(labelled):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    t, y = labelled
    _, ax = plt.subplots()
    found = clustering(t, np.eye(3)[y])
    assert found.plot(ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["within class", "between classes"]
    for patch in ax.patches:
        values, edges, _ = patch.get_data()
        assert (values * np.diff(edges)).sum() == pytest.approx(1)
    plt.close("all")
