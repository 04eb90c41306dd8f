"""Binned informations against a dictionary count, closed forms, and the traps of edges in single precision."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import norm

from deepnets.estimators import Binning, Kind
from dualib import entropy, mutual_information
from dualib.core.arrays import row_codes


def brute_force(t, edges, p_xy):
    """H(T̂) and I(T̂;Y) by a dictionary of tuples, every code found by comparing one number with every edge."""
    cells = {}
    for row, p_y in zip(t.tolist(), p_xy, strict=True):  # tolist: float32 to Python floats, exactly
        key = tuple(sum(1 for e in edges if e <= v) for v in row)
        cells[key] = cells.get(key, 0) + p_y
    h_t = math.fsum(entr(p.sum()) for p in cells.values())
    h_ty = math.fsum(entr(p).sum() for p in cells.values())
    return h_t, h_t + entr(p_xy.sum(axis=0)).sum() - h_ty


SATURATED = [
    -1.0,
    1.0,
    float(np.nextafter(np.float32(1), np.float32(0))),
    float(np.nextafter(np.float32(-1), np.float32(0))),
]
EDGES_32 = np.linspace(-1, 1, 30).astype(np.float32).tolist()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_a_dictionary_count(data):
    n, d, n_y = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 14)), data.draw(st.integers(1, 3))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    # values on edges rounded to single precision, saturated ones, and any others
    width = 32 if dtype == np.float32 else 64
    values = st.one_of(st.sampled_from(SATURATED + EDGES_32), st.floats(-1, 1, width=width))
    t = np.clip(data.draw(arrays(dtype, (n, d), elements=values)), -1, 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows, weights = rng.dirichlet(np.ones(n_y), n), rng.dirichlet(np.ones(n))
    estimator = Binning(bins=data.draw(st.sampled_from([2, 3, 30, 1000])))
    found = estimator.layer(t, rows, weights)
    expected = brute_force(t, estimator.edge_array.tolist(), rows * weights[:, None])
    assert found.rate.value == pytest.approx(expected[0], abs=1e-12)
    assert found.relevance.value == pytest.approx(max(expected[1], 0), abs=1e-12)


@pytest.mark.parametrize("w", [3.0, 30.0])
def test_saturated_network_equals_a_dictionary_count(w):
    # all 4096 patterns of 12 inputs through a saturating float32 layer
    rng = np.random.default_rng(0)
    x = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    t = np.tanh((x @ rng.normal(size=(12, 5)) * w / math.sqrt(12)).astype(np.float32))
    labels = (x.sum(axis=1) > 6).astype(int)
    rows = np.eye(2)[labels]
    assert (np.abs(t) == 1).any() or w < 10
    found = Binning().layer(t, rows)
    expected = brute_force(t, np.linspace(-1, 1, 30).tolist(), rows / 4096)
    assert found.rate.value == pytest.approx(expected[0], abs=1e-11)
    assert found.relevance.value == pytest.approx(expected[1], abs=1e-11)


def test_the_cell_of_one_and_the_float_below_it():
    below = np.nextafter(np.float32(1), np.float32(0))
    t = np.array([[-1.0], [below], [1.0]], dtype=np.float32)
    np.testing.assert_array_equal(Binning().codes(t)[:, 0], [0, 28, 29])
    # rounding in single precision would put it into the cell of 1
    assert np.floor((below + np.float32(1)) / np.float32(2 / 29)) == 29


@pytest.mark.parametrize("bins", [2, 3, 30, 29, 101, 4097])
def test_codes_at_every_edge_and_beside_it(bins):
    estimator = Binning(bins, -0.3, 1.7)
    edges = estimator.edge_array
    np.testing.assert_array_equal(estimator.codes(edges), np.arange(bins))
    np.testing.assert_array_equal(estimator.codes(np.nextafter(edges[1:], -9)), np.arange(bins - 1))
    np.testing.assert_array_equal(estimator.codes(np.nextafter(edges[:-1], 9)), np.arange(bins - 1))


def test_given_edges_equal_the_same_uniform_ones(layer):
    t, rows = layer
    uniform = Binning(17, -1.0, 1.0)
    given_edges = Binning(edges=tuple(uniform.edge_array))
    np.testing.assert_array_equal(uniform.codes(t), given_edges.codes(t))
    assert given_edges.layer(t, rows).rate.value == uniform.layer(t, rows).rate.value


@pytest.mark.parametrize(("d", "radix"), [(1, 5), (12, 30), (13, 30), (40, 30), (200, 3), (3, 2**40)])
def test_rows_are_grouped_exactly(d, radix):
    # also where the codes fill several 64-bit words
    rng = np.random.default_rng(d)
    rows = rng.integers(0, radix, (60, d))[rng.integers(0, 60, 500)]
    rows[:, 0], rows[0, -1] = rows[:, 0] % 2, radix - 1
    (found, counts), expected = row_codes(rows), np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    np.testing.assert_array_equal(found, expected)  # in the order of the rows
    np.testing.assert_array_equal(counts, np.bincount(expected))


@pytest.mark.parametrize("w", [0.3, 1.0, 5.0])
def test_gaussian_input_through_one_tanh(w):
    # X ~ N(0, 1), t = tanh(wX): cell probabilities are differences of Φ at atanh(edge)/w
    estimator = Binning(30)
    cuts = np.arctanh(estimator.edge_array[1:-1]) / w
    probabilities = np.diff(norm.cdf(np.r_[-np.inf, cuts, np.inf]))
    exact = entr(probabilities).sum()
    # patterns: many intervals of x, cut where cells are cut, with their exact probabilities
    ends = np.sort(np.r_[-9.0 / w, cuts, np.linspace(-4, 4, 2000), 9.0 / w])
    x, p_x = 0.5 * (ends[1:] + ends[:-1]), np.diff(norm.cdf(ends))
    p_x[0] += norm.cdf(ends[0])
    p_x[-1] += norm.sf(ends[-1])
    t = np.minimum(np.tanh(w * x), np.nextafter(1, 0))[:, None]
    found = Binning(30).layer(t, np.ones((len(x), 1)), p_x / p_x.sum()).rate
    assert found.value == pytest.approx(exact, abs=1e-9)
    assert found.kind == Kind.EXACT


def test_jackknife_intervals_cover_the_population():
    estimator, w, n = Binning(30, sampled=True), 1.0, 300
    cuts = np.arctanh(estimator.edge_array[1:-1]) / w
    exact = entr(np.diff(norm.cdf(np.r_[-np.inf, cuts, np.inf]))).sum()
    covered, values, plug_in = [], [], []
    for seed in range(300):
        t = np.tanh(w * np.random.default_rng(seed).normal(size=(n, 1)))
        found = estimator.layer(t, np.ones((n, 1))).rate
        covered.append(found.low <= exact <= found.high)
        values.append(found.value)
        plug_in.append(Binning(30).layer(t, np.ones((n, 1))).rate.value)
    assert np.mean(covered) > 0.93
    assert abs(np.mean(values) - exact) < 0.2 * abs(np.mean(plug_in) - exact)


@pytest.mark.parametrize("bins", [6, 30])
def test_few_samples_are_covered_in_both_informations(bins):
    # Y = 1 with probability Φ(3X): p(y=1, t̂) by integrating over each cell
    n, w = 30, 0.3
    cuts = np.r_[-9.0, np.arctanh(np.linspace(-1, 1, bins)[1:-1]) / w, 9.0]
    p_t = np.diff(norm.cdf(cuts))
    p_1 = np.array([quad(lambda x: norm.pdf(x) * norm.cdf(3 * x), *ends)[0] for ends in pairwise(cuts)])
    h_t = entr(p_t).sum()
    truth = h_t, h_t + math.log(2) - entr(p_1).sum() - entr(np.maximum(p_t - p_1, 0)).sum()
    covered = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=n)
        y = (rng.random(n) < norm.cdf(3 * x)).astype(int)
        found = Binning(bins, sampled=True).layer(np.tanh(w * x)[:, None], np.eye(2)[y])
        covered.append([e.low <= v <= e.high for e, v in zip((found.rate, found.relevance), truth, strict=True)])
    assert (np.mean(covered, axis=0) >= 0.93).all()


def test_jackknife_of_labels_against_leaving_out_one_by_one():
    rng = np.random.default_rng(2)
    t, rows = np.tanh(rng.normal(size=(60, 1))), rng.dirichlet(np.ones(2), 60)
    n, plain = 60, Binning(6)
    for name in ("rate", "relevance"):
        whole = getattr(plain.layer(t, rows), name).value
        left = np.mean([getattr(plain.layer(np.delete(t, i, 0), np.delete(rows, i, 0)), name).value for i in range(n)])
        found = getattr(Binning(6, sampled=True).layer(t, rows), name).value
        assert found == pytest.approx(max(0.0, n * whole - (n - 1) * left), abs=1e-10)


def test_label_information_is_between_zero_and_its_bounds(layer):
    t, rows = layer
    found = Binning().layer(t, rows)
    p_y = rows.mean(axis=0)
    most = entr(p_y).sum() - entr(rows).sum(axis=1).mean()
    assert 0 <= found.relevance.value <= min(found.rate.value, most) + 1e-12


def test_merging_cells_loses_information(layer):
    # every second edge of 33 is an edge of 17
    t, rows = layer
    fine, coarse = Binning(33).layer(t, rows), Binning(17).layer(t, rows)
    assert coarse.rate.value <= fine.rate.value
    assert coarse.relevance.value <= fine.relevance.value + 1e-12


def test_sensitivity_reaches_the_entropy_of_the_patterns(layer):
    t, rows = layer
    surface = Binning().sensitivity(t, rows, bins=(30, 3, 9, 100_000))
    np.testing.assert_array_equal(surface.bins, [3, 9, 30, 100_000])
    assert surface.rate[2] == Binning(30).layer(t, rows).rate.value
    assert surface.rate[-1] == pytest.approx(math.log(300), abs=1e-12)
    frame = surface.to_frame("bits")
    assert list(frame.columns) == ["bins", "rate_bits", "relevance_bits"]
    assert frame["rate_bits"].iloc[-1] == pytest.approx(math.log2(300))


def test_sensitivity_is_drawn_in_the_unit_of_its_label(layer):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    t, rows = layer
    surface = Binning().sensitivity(t, rows, bins=(3, 30))
    _, ax = plt.subplots()
    assert surface.plot(ax, units="bits") is ax
    assert "bits" in ax.get_ylabel()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), surface.rate / math.log(2))
    plt.close("all")


def test_order_of_patterns_and_units_changes_nothing(layer):
    t, rows = layer
    order = np.random.default_rng(0).permutation(300)
    once, again = Binning().layer(t, rows), Binning().layer(t[order][:, ::-1], rows[order])
    assert again.rate.value == pytest.approx(once.rate.value, abs=1e-12)
    assert again.relevance.value == pytest.approx(once.relevance.value, abs=1e-12)


def test_range_of_relu():
    t = [np.array([[0.0, 3.0]]), np.array([[7.5, 1.0], [0.0, 0.0]])]
    estimator = Binning.from_range(*t, bins=6)
    assert (estimator.low, estimator.high) == (0.0, 7.5)
    assert estimator.codes(t[1])[0, 0] == 5  # the largest has the last edge's cell
    assert Counter(estimator.codes(t[1])[1].tolist()) == {0: 2}


def test_warnings_say_what_is_measured(layer):
    t, rows = layer
    found = Binning(1000).layer(t, rows)
    assert any("measures clustering" in text for text in found.rate.warnings)
    assert any("whatever the layer does" in text for text in found.relevance.warnings)
    assert not Binning(3).layer(t[:, :1], rows).relevance.warnings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 1}, "at least 2 edges"),
        ({"bins": 3.5}, "at least 2 edges"),
        ({"low": 1.0, "high": 1.0}, "low = 1.0 is not below high"),
        ({"low": -math.inf}, "not finite"),
        ({"edges": (0.0, 1.0, 1.0)}, "edges do not increase: edge 2"),
        ({"edges": (0.0, math.nan, 1.0)}, "edges do not increase"),
        ({"edges": (0.0,)}, "at least 2 edges"),
        ({"bins": 100, "low": 1.0, "high": 1.0 + 1e-15}, "more bins than float resolution"),
    ],
)
def test_bad_edges_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Binning(**arguments)


def test_bad_activations_are_refused():
    rows = np.ones((2, 1))
    with pytest.raises(ValueError, match=r"1 activations are below .* and 2 above .* use Binning.from_range"):
        Binning().layer([[-1.5, 0.0], [2.0, 3.0]], rows)
    with pytest.raises(ValueError, match=r"t\[1, 0\] is nan: 1 of 2 activations"):
        Binning().layer([[0.0], [math.nan]], rows)
    with pytest.raises(ValueError, match="more bins than float resolution; use at most"):
        Binning(10**8).layer(np.zeros((2, 1), dtype=np.float32), rows)
    with pytest.raises(ValueError, match="no range to divide"):
        Binning.from_range(np.ones((3, 2)))
    with pytest.raises(ValueError, match="needs activations"):
        Binning.from_range()
    with pytest.raises(ValueError, match="leave p_x out"):
        Binning(sampled=True).layer([[0.0], [0.1]], rows, [0.3, 0.7])


@pytest.mark.parametrize("n", [10, 30, 100])
def test_intervals_of_few_samples_cover_laws_whose_rare_cells_they_miss(n):
    """Laws of 3 and 5 cells, even and very uneven: where all samples share a cell they do not vary, and prove nothing."""
    hits, trials = np.zeros(2), 120
    laws = [np.array(p) for p in ([0.97, 0.02, 0.01], [0.9, 0.06, 0.02, 0.01, 0.01], [0.5, 0.3, 0.2], [0.2] * 5)]
    for law in laws:
        k = len(law)
        given = np.random.default_rng(k).dirichlet([0.5, 0.5], k)
        joint = law[:, None] * given
        truth = np.array([entropy(law), mutual_information(joint)])
        estimator = Binning(edges=tuple(np.linspace(0, 1, k + 1)), sampled=True)
        covered = np.zeros(2)
        for seed in range(trials):
            rng = np.random.default_rng([seed, n])
            cells = rng.choice(k, n, p=law)
            labels = (rng.random(n) < given[cells, 1]).astype(int)
            found = estimator.layer(((cells + 0.5) / k)[:, None], np.eye(2)[labels])
            covered += [e.low <= v <= e.high for e, v in zip((found.rate, found.relevance), truth, strict=True)]
        assert (covered / trials >= 0.93 - 4 * np.sqrt(0.05 * 0.95 / trials)).all(), law
        hits += covered
    assert (hits / trials / len(laws) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / trials / len(laws))).all()
