"""Figures draw the curve's own numbers, in the unit on the label, and leave matplotlib as they found it."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.optimize import brentq

import dualib
from dualib import plotting
from dualib.core.figure import MANY_COLOURS
from dualib.core.units import NATS_PER_BIT
from dualib.curves.build import information_curve
from dualib.curves.gap import gap_at_equal_rate
from dualib.curves.transitions import first_transition
from dualib.examples import digits, hamming, toy
from dualib.plane import PlanePath
from dualib.plotting.bifurcation import crowds, symbol_order
from dualib.problems import IB, DualIB
from dualib.solution import solve

BETAS = np.geomspace(3.0, 40.0, 80)
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
        there = ~np.isnan(drawn.get_xdata())
        np.testing.assert_allclose(drawn.get_xdata()[there], curve.rate * SCALE[units], atol=1e-15)
        np.testing.assert_allclose(drawn.get_ydata()[there], curve.relevance * SCALE[units], atol=1e-15)
    assert ax.get_xlabel() == f"rate I(X;T) [{units}]"
    assert ax.get_ylabel() == f"relevance I(T;Y) [{units}]"
    np.testing.assert_allclose(line(ax, "I(X;Y)").get_ydata(), toy().mutual_information() * SCALE[units])
    bound = line(ax, "I(T;Y) = I(X;T)")
    np.testing.assert_array_equal(bound.get_xdata(), bound.get_ydata())
    assert (ax.get_xlim()[1] >= ib.rate * SCALE[units]).all()


def test_inset_shows_the_gap_at_equal_rate(ib, dual):
    (panel,) = plotting.plot_information_plane([ib, dual], units="nats").child_axes
    rate, gap = (v[~np.isnan(v)] for v in panel.get_lines()[0].get_data())
    assert panel.get_title().count("[nats]") == 2
    assert gap.min() > -1e-6  # the dual curve lies on or below the IB curve
    # Between points of the curves: both problems solved for one rate (nats) by bisection in β.
    values = [relevance_at_rate(problem, 0.2265) for problem in (IB(toy()), DualIB(toy()))]
    assert np.interp(0.2265, rate, gap) == pytest.approx(values[0] - values[1], rel=0.02)
    assert not plotting.plot_information_plane([ib, dual], inset=False).child_axes
    assert not plotting.plot_information_plane(ib).child_axes


def test_gap_of_a_curve_to_itself_vanishes(ib):
    rate, gap = gap_at_equal_rate(ib, ib)
    assert len(rate) == len(ib.rate)
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)


def test_gap_follows_the_straight_segment_of_a_first_order_transition():
    joint = hamming(0.3)
    first = first_transition(DualIB(joint))
    assert first.kind == "first-order"
    ib, dual = (information_curve(problem(joint)) for problem in (IB, DualIB))
    assert dual.jumps.any()
    rate, gap = gap_at_equal_rate(ib, dual)
    end = solve(DualIB(joint), first.beta * (1 + 1e-6))
    at = 0.5 * end.rate
    expected = relevance_at_rate(IB(joint), at) - 0.5 * end.relevance
    assert np.interp(at, rate, gap) == pytest.approx(expected, rel=0.05)
    assert gap.max() > 1e-3


def test_the_crowded_transitions_of_the_digits_are_resolved():
    """Most transitions lie within a tenth of β; the gap is largest there, and agrees with solutions at its rate."""
    problems = [problem(digits(40).smoothed(pseudocount=0.1)) for problem in (IB, DualIB)]
    ib, dual = (information_curve(problem, certify=False) for problem in problems)
    for curve in (ib, dual):
        assert len(curve.beta) <= 100
        assert np.diff(curve.rate).max() <= 0.03 * curve.rate.max()
    rate, gap = gap_at_equal_rate(ib, dual)
    peak = rate[gap.argmax()]
    assert peak * SCALE["bits"] == pytest.approx(2.0, abs=0.15)
    values = []
    for problem in problems:
        beta = brentq(lambda b, p=problem: solve(p, b, certify=False).rate - peak, 0.5, 2.0, xtol=1e-6)
        values.append(solve(problem, beta, certify=False).relevance)
    assert gap.max() == pytest.approx(values[0] - values[1], rel=0.02)
    assert gap.max() * SCALE["bits"] == pytest.approx(0.084, abs=1e-3)


def test_gap_interpolates_between_points_to_the_accuracy_of_cubics(ib):
    between = information_curve(IB(toy()), np.sqrt(BETAS[5:] * BETAS[4:-1]))
    _, gap = gap_at_equal_rate(ib, between)
    assert len(gap) == len(between.rate)
    assert abs(gap).max() < 2e-5


def test_points_without_proof_are_hollow(ib, guess):
    for curve, unproven in ((ib, False), (guess, True)):
        ax = plotting.plot_information_plane(curve)
        found = [marks for marks in ax.get_lines() if marks.get_marker() == "o"]
        assert len(found) == unproven
        assert ("not proven" in [text.get_text() for text in ax.get_legend().get_texts()]) == unproven
    assert found[0].get_markerfacecolor() == "white"
    x = found[0].get_xdata()
    assert 10 < len(x) < len(BETAS)  # no more than can be told apart
    assert np.abs(x[:, None] - guess.rate * SCALE["bits"]).min(axis=1).max() < 1e-12


def test_transitions_are_the_only_other_marks(ib):
    ax = plotting.plot_information_plane(ib)
    (ticks,) = [marks for marks in ax.get_lines() if marks.get_marker() not in ("None", None, "")]
    expected = [np.interp(t.beta, ib.beta, ib.rate) * SCALE["bits"] for t in ib.transitions]
    np.testing.assert_allclose(ticks.get_xdata(), expected)
    assert "transition" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_what_is_interpolated_looks_interpolated():
    """The segment of a jump is dashed and not part of the solid line; a coarse grid is dashed all along."""
    curve = information_curve(DualIB(hamming(0.3)))
    ax = plotting.plot_information_plane(curve, units="nats")
    solid = line(ax, "dualIB")
    x, width = solid.get_xdata(), solid.get_linewidth()
    assert np.nanmax(np.diff(x)) <= 0.05 * curve.rate.max()
    (dashed,) = [found for found in ax.get_lines() if found.get_gid() == "interpolated"]
    i = np.flatnonzero(curve.jumps)[0]
    np.testing.assert_array_equal(dashed.get_xdata()[:2], curve.rate[i : i + 2])
    assert dashed.get_linewidth() < width
    assert dashed.is_dashed()
    coarse = information_curve(DualIB(toy()), [4.0, 8.0, 16.0, 32.0], certify=False)
    ax = plotting.plot_information_plane(coarse)
    (dashed,) = [found for found in ax.get_lines() if found.get_gid() == "interpolated"]
    assert np.isnan(line(ax, "dualIB").get_xdata()[1::2]).all()
    assert len(dashed.get_xdata()) == 9


def test_no_difference_is_drawn_where_a_curve_is_not_computed(ib, dual):
    holes = np.r_[BETAS[:30], BETAS[45:]]
    coarse = information_curve(IB(toy()), holes)
    low, high = coarse.rate[29], coarse.rate[30]
    rate, gap = gap_at_equal_rate(coarse, dual)
    assert not ((rate > low) & (rate < high)).any()
    whole = dict(zip(*gap_at_equal_rate(ib, dual), strict=True))
    assert any(low < r < high for r in whole)
    np.testing.assert_allclose(gap, [whole[r] for r in rate], atol=1e-5)
    (panel,) = plotting.plot_information_plane([coarse, dual], units="nats").child_axes
    x = panel.get_lines()[0].get_xdata()
    assert not ((x[:-1] <= low) & (x[1:] >= high)).any()  # nor is a line drawn across
    assert np.isnan(x).sum() == 2


def test_every_joint_has_its_own_ceiling(ib):
    other = information_curve(IB(hamming(0.3)), certify=False)
    for ax in (
        plotting.plot_information_plane([ib, other], units="nats"),
        plotting.plot_information_plane(other, ax=plotting.plot_information_plane(ib, units="nats"), units="nats"),
    ):
        ceilings = {name: line(ax, f"I(X;Y) of {name}").get_ydata()[0] for name in ("IB", "IB (2)")}
        assert ceilings == {"IB": ib.mutual_information(), "IB (2)": other.mutual_information()}
    ax = plotting.plot_information_plane([ib, other], labels=["toy", "Hamming"])
    assert line(ax, "I(X;Y) of Hamming").get_ydata()[0] == pytest.approx(other.mutual_information() * SCALE["bits"])
    with pytest.raises(ValueError, match="labels has 1 names for 2 curves"):
        plotting.plot_information_plane([ib, other], labels=["toy"])


def test_a_second_call_adds_to_the_first(ib, dual):
    other = information_curve(IB(hamming(0.3)), certify=False)
    for draw in (plotting.plot_information_plane, plotting.plot_objective):
        together, apart = draw([ib, dual, other], units="nats"), draw([ib, dual], units="nats")
        draw(other, ax=apart, units="nats")
        for ax in (together, apart):
            ax.figure.draw_without_rendering()
        names = [[text.get_text() for text in legend_of(ax).get_texts()] for ax in (together, apart)]
        assert len(set(names[1])) == len(names[1])
        assert set(names[0]) == set(names[1])
        assert line(together, "IB (2)").get_color() == line(apart, "IB (2)").get_color()
        assert len(together.child_axes) == len(apart.child_axes) == 1
        for limit in ("get_xlim", "get_ylim"):
            low, high = getattr(apart, limit)()
            assert low <= getattr(together, limit)()[0] + 1e-12
            assert high >= getattr(together, limit)()[1] - 1e-12


def legend_of(ax):
    return ax.get_legend() or ax.child_axes[0].get_legend()


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_log_axes_stay_log(ib, dual, scale):
    for draw in (plotting.plot_information_plane, plotting.plot_objective, plotting.plot_bifurcation):
        ax = Figure().add_subplot()
        ax.set_xscale(scale)
        ax.set_yscale("log")
        for curve in (ib, dual):
            draw(curve, ax=ax)
        ax.figure.draw_without_rendering()
        assert ax.get_yscale() == "log"
        assert ax.get_xscale() == (scale if draw is plotting.plot_information_plane else "log")
        assert ax.get_ylim()[0] > 0
        if draw is plotting.plot_information_plane:  # what is 0 up to rounding does not stretch the axes
            assert ax.get_ylim()[0] > 1e-6 * ax.get_ylim()[1]
            y = line(ax, "IB").get_ydata()
            assert np.nanmin(y) > 0
            np.testing.assert_array_equal(np.isfinite(y), ib.beta > ib.transitions[0].beta)


def test_bifurcation_draws_every_cluster_with_its_weight(dual):
    ax = plotting.plot_bifurcation(dual, y=1)
    (dots,) = ax.collections[:1]
    offsets, areas = np.asarray(dots.get_offsets()), np.asarray(dots.get_sizes())
    np.testing.assert_allclose(offsets[:, 0], np.repeat(dual.beta, dual.n_clusters))
    np.testing.assert_allclose(offsets[:, 1], np.concatenate([decoder[:, 1] for decoder in dual.decoders]))
    np.testing.assert_allclose(areas / areas.max(), np.concatenate(dual.weights), rtol=1e-12)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "trade-off β (no unit)"
    assert ax.get_ylabel() == "decoder p(y = -1 | t) of dualIB"  # the second symbol's own name
    lines = {found.get_xdata()[0] for found in ax.get_lines()}
    np.testing.assert_allclose(sorted(lines), [t.beta for t in dual.transitions])
    assert [text.get_text() for text in ax.texts][:1] == ["1→2"]


CONFUSED = [[9, 1, 1, 1, 1], [1, 8, 1, 1, 1], [1, 1, 9, 2, 1], [1, 1, 2, 9, 1], [1, 1, 1, 1, 7]]  # 2 with 3


def test_many_symbols_are_stacked():
    """At every β the clusters' heights are their p(t), in the colour of the likeliest symbol."""
    curve = information_curve(IB(dualib.Joint.from_counts(CONFUSED)), certify=False)
    ax = plotting.plot_bifurcation(curve)
    cells, colours = ax.collections[0].get_paths(), ax.collections[0].get_facecolors()
    assert len(cells) == curve.n_clusters.sum()
    start = 0
    for weights, rows, beta in zip(curve.weights, curve.decoders, curve.beta, strict=True):
        own = slice(start, start := start + len(weights))
        edges = np.array([np.sort(c.vertices[c.vertices[:, 0] == beta][:, 1])[[0, -1]] for c in cells[own]])
        np.testing.assert_allclose(edges[:, 0], np.r_[0.0, edges[:-1, 1]], atol=1e-12)
        heights = np.diff(edges).ravel()
        np.testing.assert_allclose(np.sort(heights), np.sort(weights), atol=1e-12)
        for height, colour in zip(heights, colours[own], strict=True):
            t = np.abs(weights - height).argmin()
            if np.sum(np.abs(weights - height) < 1e-6) == 1:
                pale = 1.0 - np.array(to_rgb(MANY_COLOURS[rows[t].argmax()]))
                ratio = (1.0 - colour[:3])[pale > 0] / pale[pale > 0]
                np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert {"0", "1", "2", "3", "4"} <= {text.get_text() for text in ax.texts}
    order = list(symbol_order(curve))
    assert abs(order.index(2) - order.index(3)) == 1  # the two that are confused most
    assert plotting.plot_bifurcation(curve, y=2).get_ylabel() == "decoder p(y = 2 | t) of IB"


def test_the_stretched_axis_keeps_crowded_transitions_apart():
    """Places grow with β and come back to it; half of the axis is log β, half the rate."""
    curve = information_curve(IB(dualib.Joint.from_counts(CONFUSED)), certify=False)
    ax = plotting.plot_bifurcation(curve)
    scale = ax.xaxis.get_transform()
    beta = np.geomspace(*ax.get_xlim(), 300)
    place = scale.transform(beta)
    assert np.all(np.diff(place) > 0)
    np.testing.assert_allclose(scale.inverted().transform(place), beta, rtol=1e-9)
    log_beta, rate = np.log(curve.beta / curve.beta[0]), curve.rate
    expected = log_beta / log_beta[-1] + rate / rate.max()
    np.testing.assert_allclose(scale.transform(curve.beta), expected - expected[0], atol=1e-7)
    ticks = ax.get_xticks()
    assert len(ticks) >= 4
    assert np.diff(scale.transform(ticks)).min() >= 0.2 - 1e-9
    plotting.plot_bifurcation(curve, ax=ax)
    ax.figure.draw_without_rendering()
    assert "stretched" in ax.get_xlabel()


def test_crowded_transitions_share_a_label(dual):
    places = [0.1, 0.11, 0.12, 0.5, 0.9, 0.94]
    made = [(place, replace(dual.transitions[0], n_before=i + 1, n_after=i + 2)) for i, place in enumerate(places)]
    groups = crowds(made[::-1], 0.05)
    assert [len(group) for group in groups] == [3, 1, 2]
    close = tuple(
        replace(dual.transitions[0], beta=10 * (1 + 1e-3 * i), n_before=i + 1, n_after=i + 2) for i in range(9)
    )
    ax = plotting.plot_bifurcation(replace(dual, stored_transitions=close))
    assert [text.get_text() for text in ax.texts] == ["1→10 (9)"]


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
    assert {found.get_marker() for found in strip.get_lines()} == {"None", "o", "x"}
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


class Timed:
    """A line in time."""

    def __init__(self, times, information_xy=1.0, clock_name="epoch", rate_is="", within=None):
        n, rate = len(times), np.linspace(0.1, 2.0, len(times))
        self.path = PlanePath(
            clock_name,
            rate,
            rate / 4,
            np.ones(n - 1, bool),
            np.arange(n) > 0,
            information_xy,
            clock=np.asarray(times, float),
            clock_name=clock_name,
            rate_is=rate_is,
            within=within,
            caveat="Not a bound.",
        )

    def plane_paths(self):
        return [self.path]


def timed_points(ax):
    return [c for c in ax.collections if str(c.get_gid()).startswith("clock of ")]


def test_a_clock_is_one_scale_of_colours_for_all_its_lines(ib):
    ax = plotting.plot_information_plane([Timed([0, 1, 10]), Timed([2, 5, 300])])
    first, second = timed_points(ax)
    assert first.norm is second.norm
    assert (first.norm.vmin, first.norm.vmax) == (0.0, 300.0)
    np.testing.assert_allclose(first.get_array(), [1, 10])  # what is not proven is hollow, and has no colour
    assert len(ax.figure.axes) == 2
    plotting.plot_information_plane(Timed([1, 4000.0]), ax=ax)
    assert first.norm.vmax == 4000.0
    plotting.plot_information_plane([Timed([1e-3, 1.0], clock_name="τ"), ib], ax=ax)
    assert [other.get_ylabel() for other in ax.figure.axes[1:]] == ["epoch", "τ"]
    assert len({c.get_cmap().name for c in timed_points(ax)}) == 2
    assert ax.get_legend().get_title().get_text() == "Not a bound."


def test_the_last_point_of_a_line_in_time_has_bars_where_its_interval_is_seen():
    wide, narrow = [[0.0, 1.0], [1.0, 3.0]], [[0.0, 1.0], [0.5, 0.5 + 1e-4]]  # at the first time and at the last
    ax = plotting.plot_information_plane(Timed([1, 2], within=np.array([wide, narrow])), units="nats")
    (bar,) = (found for found in ax.get_lines() if found.get_gid() == "interval of epoch")
    np.testing.assert_allclose(bar.get_xydata(), [[1.0, 0.5], [3.0, 0.5]])
    ax = plotting.plot_information_plane(Timed([1, 2], within=np.array([wide, wide])), units="bits")
    across, along = (found for found in ax.get_lines() if found.get_gid() == "interval of epoch")
    np.testing.assert_allclose(across.get_xdata(), np.array([1.0, 3.0]) / np.log(2))
    np.testing.assert_allclose(along.get_ydata(), np.array([1.0, 3.0]) / np.log(2))


def test_what_a_rate_is_stands_at_the_axis_with_the_line_that_it_is_of():
    ax = plotting.plot_information_plane([Timed([1, 2], rate_is="binned"), Timed([1, 2], rate_is="binned")])
    assert ax.get_xlabel() == "rate I(X;T) [bits]\nbinned"
    ax = plotting.plot_information_plane([Timed([1, 2], rate_is="binned"), Timed([1, 2], clock_name="τ")])
    assert ax.get_xlabel() == "rate I(X;T) [bits]\nepoch: binned"


def test_without_a_finite_ceiling_the_data_decide_the_axes():
    ax = plotting.plot_information_plane(Timed([1, 2, 3], information_xy=np.inf), units="nats")
    assert "I(X;Y)" not in {found.get_label() for found in ax.get_lines()}
    assert 0.5 < ax.get_ylim()[1] < 0.6


def test_gaussian_curves_are_drawn_with_the_rates_at_which_modes_begin():
    problem = dualib.GaussianIB(np.eye(2), np.eye(2), np.diag([0.9, 0.5]))
    ax = plotting.plot_information_plane([problem, dualib.GaussianDualIB(1.0, 1.0, 0.0)], units="nats")
    drawn = line(ax, "Gaussian IB")
    np.testing.assert_allclose(drawn.get_ydata(), problem.relevance_at(drawn.get_xdata()), atol=1e-15)
    assert drawn.get_ydata()[-1] >= 0.999 * problem.mutual_information() > drawn.get_ydata()[-2]
    (mark,) = (found for found in ax.get_lines() if found.get_gid() == "transition")
    np.testing.assert_allclose(mark.get_xdata(), problem.critical_rates[1:])
    np.testing.assert_array_equal(line(ax, "Gaussian dualIB").get_xdata(), [0.0])


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no curve to draw"):
        plotting.plot_information_plane([])
