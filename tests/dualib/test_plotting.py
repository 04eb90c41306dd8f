"""Figures draw the curve's own numbers, in the unit on the label, and leave matplotlib as they found it."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.optimize import brentq

from dualib import plotting
from dualib.curve import information_curve
from dualib.examples import hamming, toy
from dualib.measures import NATS_PER_BIT
from dualib.problems import IB, DualIB
from dualib.solve import solve
from dualib.transitions import first_transition

BETAS = np.geomspace(3.0, 40.0, 24)
SCALE = {"bits": 1.0 / NATS_PER_BIT, "nats": 1.0}


@pytest.fixture(scope="module")
def ib():
    return information_curve(IB(toy()), BETAS)


@pytest.fixture(scope="module")
def dual():
    return information_curve(DualIB(toy()), BETAS)


@pytest.fixture(scope="module")
def guess():
    """Nothing proven."""
    return information_curve(IB(toy()), BETAS, certify=False)


def line(ax, label):
    return next(found for found in ax.get_lines() if found.get_label() == label)


def relevance_at_rate(problem, rate):
    beta = brentq(lambda b: solve(problem, b).rate - rate, 2.7, 11.0, xtol=1e-9)
    return solve(problem, beta).relevance


@pytest.mark.parametrize("units", ["bits", "nats"])
def test_information_plane_draws_the_curves(ib, dual, units):
    ax = plotting.plot_information_plane([ib, dual], units=units)
    for curve, label in ((ib, "IB"), (dual, "dualIB")):
        drawn = line(ax, label)
        np.testing.assert_allclose(drawn.get_xdata(), curve.rate * SCALE[units], atol=1e-15)
        np.testing.assert_allclose(drawn.get_ydata(), curve.relevance * SCALE[units], atol=1e-15)
    assert ax.get_xlabel() == f"rate I(X;T) [{units}]"
    assert ax.get_ylabel() == f"relevance I(T;Y) [{units}]"
    np.testing.assert_allclose(line(ax, "I(X;Y)").get_ydata(), toy().mutual_information() * SCALE[units])
    bound = line(ax, "I(T;Y) = I(X;T)")
    np.testing.assert_array_equal(bound.get_xdata(), bound.get_ydata())
    assert (ax.get_xlim()[1] >= ib.rate * SCALE[units]).all()


def test_inset_shows_the_gap_at_equal_rate(ib, dual):
    (panel,) = plotting.plot_information_plane([ib, dual], units="nats").child_axes
    gap = panel.get_lines()[0].get_ydata()
    assert panel.get_title().count("[nats]") == 2
    assert gap.min() > -1e-6  # the dual curve lies on or below the IB curve
    # Between points of the curves: both problems solved for one rate (nats) by bisection in β.
    rate = panel.get_lines()[0].get_xdata()
    values = [relevance_at_rate(problem, 0.2265) for problem in (IB(toy()), DualIB(toy()))]
    assert np.interp(0.2265, rate, gap) == pytest.approx(values[0] - values[1], rel=0.02)
    assert not plotting.plot_information_plane([ib, dual], inset=False).child_axes
    assert not plotting.plot_information_plane(ib).child_axes


def test_gap_of_a_curve_to_itself_vanishes(ib):
    rate, gap = plotting.gap_at_equal_rate(ib, ib)
    assert len(rate) == len(ib.rate)
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)


def test_gap_follows_the_straight_segment_of_a_first_order_transition():
    joint = hamming(0.3)
    first = first_transition(DualIB(joint))
    assert first.kind == "first-order"
    betas = np.append(np.geomspace(2.4, 6.0, 40), first.beta * (1 + 1e-6))
    ib, dual = (information_curve(problem(joint), betas) for problem in (IB, DualIB))
    rate, gap = plotting.gap_at_equal_rate(ib, dual)
    end = solve(DualIB(joint), first.beta * (1 + 1e-6))
    at = 0.5 * end.rate
    expected = relevance_at_rate(IB(joint), at) - 0.5 * end.relevance
    assert np.interp(at, rate, gap) == pytest.approx(expected, rel=0.05)
    assert gap.max() > 1e-3


def test_gap_interpolates_between_points_to_the_accuracy_of_cubics(ib):
    between = information_curve(IB(toy()), np.sqrt(BETAS[5:] * BETAS[4:-1]))
    _, gap = plotting.gap_at_equal_rate(ib, between)
    assert len(gap) == len(between.rate)
    assert abs(gap).max() < 2e-5


def test_points_without_proof_are_hollow(ib, guess):
    for curve, face, word in ((ib, "#0072B2", "proven"), (guess, "white", "estimated")):
        ax = plotting.plot_information_plane(curve)
        (markers,) = [found for found in ax.get_lines() if found.get_marker() == "o"]
        assert markers.get_markerfacecolor() == face
        assert len(markers.get_xdata()) == len(BETAS)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert word in labels
        assert len({"proven", "estimated"} & set(labels)) == 1


def test_bifurcation_draws_every_cluster_with_its_weight(dual):
    ax = plotting.plot_bifurcation(dual, y=1)
    (dots,) = ax.collections[:1]
    offsets, areas = np.asarray(dots.get_offsets()), np.asarray(dots.get_sizes())
    np.testing.assert_allclose(offsets[:, 0], np.repeat(dual.beta, dual.n_clusters))
    np.testing.assert_allclose(offsets[:, 1], np.concatenate([decoder[:, 1] for decoder in dual.decoders]))
    np.testing.assert_allclose(areas / areas.max(), np.concatenate(dual.weights), rtol=1e-12)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "trade-off β (no unit)"
    assert ax.get_ylabel() == "decoder p(y=1|t) of dualIB"
    lines = sorted(found.get_xdata()[0] for found in ax.get_lines())
    np.testing.assert_allclose(lines, [t.beta for t in dual.transitions])
    assert [text.get_text() for text in ax.texts][:1] == ["1→2"]


@pytest.mark.parametrize("y", [-1, 2])
def test_bifurcation_refuses_a_symbol_there_is_not(ib, y):
    with pytest.raises(ValueError, match=rf"y = {y} is not a column of p\(y\|x\); there are 2: 0 to 1"):
        plotting.plot_bifurcation(ib, y=y)


@pytest.mark.parametrize("units", ["bits", "nats"])
def test_objective_draws_the_bracket(guess, units):
    ax = plotting.plot_objective(guess, units=units)
    np.testing.assert_allclose(line(ax, "IB").get_ydata(), guess.objective * SCALE[units])
    low = ax.collections[0].get_paths()[0].vertices[:, 1].min()
    assert low == pytest.approx(guess.lower_bound.min() * SCALE[units], abs=1e-12)
    (strip,) = ax.child_axes
    np.testing.assert_allclose(strip.get_lines()[0].get_ydata(), np.maximum(guess.gap * SCALE[units], 1e-16))
    assert ax.get_ylabel() == f"objective F(β) [{units}]"
    assert strip.get_ylabel() == f"bracket [{units}]"
    assert strip.get_yscale() == "log"


def test_matplotlib_is_left_as_it_was(ib, dual):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    plotting.plot_information_plane([ib, dual])
    plotting.plot_bifurcation(ib)
    plotting.plot_objective([ib, dual])
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_given_axes_are_drawn_into_and_returned(ib):
    ax = Figure().add_subplot()
    for draw in (plotting.plot_information_plane, plotting.plot_bifurcation, plotting.plot_objective):
        assert draw(ib, ax=ax) is ax
    ax.figure.draw_without_rendering()


def test_legend_covers_no_data(ib, dual):
    for draw, legend_of in (
        (plotting.plot_information_plane, lambda ax: ax),
        (plotting.plot_objective, lambda ax: ax.child_axes[0]),
    ):
        ax = draw([ib, dual])
        ax.figure.draw_without_rendering()
        legend = legend_of(ax).get_legend().get_window_extent()
        assert not legend.overlaps(ax.get_window_extent().padded(-1))
        assert not legend.overlaps(legend_of(ax).get_window_extent().padded(-1))
        assert legend.x1 <= ax.figure.bbox.x1
        assert legend.y1 <= ax.figure.bbox.y1


def test_repeated_problems_get_colours_of_their_own(ib, guess):
    ax = plotting.plot_information_plane([ib, guess])
    assert line(ax, "IB").get_color() != line(ax, "IB (2)").get_color()


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no curve to draw"):
        plotting.plot_information_plane([])
