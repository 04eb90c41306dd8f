"""Figures draw the numbers, and their legends fit."""

from dataclasses import replace

import numpy as np
import pytest
from wide import WIDE

import ntkinfo
from dualib.plotting import plot_information_plane
from ntkinfo import plotting


def test_figures_draw_the_numbers(gaussian_timeline):
    from matplotlib.figure import Figure

    found, ensemble, data = gaussian_timeline
    lower = found["label_information_affine"] - 0.05  # a lower bound that is negative at the start
    found = replace(found, values=found.values | {"label_information_affine": lower})
    ax = Figure().subplots()
    assert plotting.plot_loss(found, ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found["expected_square_error"])
    (panel,) = plotting.plot_quantities(found, ["parameter_kl"], units="nats").axes
    assert "nats" in panel.get_ylabel()
    panels = plotting.plot_quantities(found).axes
    drawn = sum(len(ax.lines) for ax in panels)
    groups = ("inputs", "labels", "data", "parameters")
    assert drawn == sum(column.group in groups for column in found.columns)
    assert len(panels) == 4
    assert {ax.get_ylabel() for ax in panels} == {"[bits]"}
    with pytest.raises(ValueError, match="no column 'mistaken'"):
        plotting.plot_quantities(found, ["mistaken"])
    ledger = ntkinfo.mode_table(ensemble, 1.0)
    panels = plotting.plot_mode_table(ledger).axes
    np.testing.assert_array_equal(panels[0].lines[0].get_ydata(), ledger.eigenvalue)
    np.testing.assert_array_equal(panels[1].lines[0].get_ydata(), ledger.fitted)
    table = ntkinfo.generalisation_bounds(ensemble, WIDE[1:], y_test=data.y_test)
    ax = plotting.plot_bounds(table, ax=Figure().subplots())
    for i, name in enumerate(table.bounds):
        drawn, vacuous = np.asarray(ax.lines[2 + i].get_ydata()), table.vacuous(name)
        np.testing.assert_array_equal(drawn[~vacuous], table.risk_bound(name)[~vacuous])
        beside = vacuous & (np.append(False, ~vacuous[:-1]) | np.append(~vacuous[1:], False))
        assert ((drawn[beside] >= 1) & (drawn[beside] <= plotting.VACUOUS)).all()  # it does not end in mid-air
        assert np.isnan(drawn[vacuous & ~beside]).all()


def test_the_plane_of_an_ensemble_stands_beside_the_frontier(gaussian_timeline):
    found, ensemble, data = gaussian_timeline
    lower = found["label_information_affine"] - 0.05  # a lower bound that is negative at the start
    found = replace(found, values=found.values | {"label_information_affine": lower})
    ax = plot_information_plane([found, data.gaussian_ib])
    assert "I(Z;X|D), N points (exact)" in ax.get_xlabel()
    assert "affine decoder (lower" in ax.get_ylabel()
    assert "no violation" in ax.get_legend().get_title().get_text().replace("\n", " ")
    proven = found["label_information_affine"][1:] > 0
    assert not proven.all()
    (points,) = (c for c in ax.collections if c.get_gid() == "clock of training time τ")
    rate, relevance = (found[name][1:] / np.log(2) for name in ("input_information", "label_information_affine"))
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([rate, relevance])[proven])
    np.testing.assert_allclose(points.get_array(), found.tau[1:][proven])
    (hollow,) = (line for line in ax.lines if line.get_gid() == "hollow: no information proven")
    assert set(hollow.get_ydata()) == {0.0}
    frontier = next(line for line in ax.lines if line.get_label() == "Gaussian IB")
    np.testing.assert_allclose(
        frontier.get_ydata() * np.log(2), data.gaussian_ib.relevance_at(frontier.get_xdata() * np.log(2)), atol=1e-12
    )
    assert not plot_information_plane(found).get_legend().get_title().get_text()
    with pytest.raises(ValueError, match="give y_test"):
        plot_information_plane(ntkinfo.timeline(ensemble, [1.0]))


def test_legends_fit_a_column_of_a_page(gaussian_timeline):
    """At 8.5 cm: inside the figure, and over no line."""
    found, _, _ = gaussian_timeline
    figure = plotting.plot_quantities(found, columns=1)
    figure.canvas.draw()
    for ax in figure.axes:
        legend, panel = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert legend.y0 >= panel.y1 - 1
        assert legend.x1 <= figure.bbox.x1 + 1
        assert panel.width > 0.6 * figure.bbox.width


def test_a_plane_in_which_nothing_is_proven_has_the_scale_of_the_rate(gaussian_timeline):
    """The axis went to 1e-9, and the factor over it lay on the legend."""
    found, _, _ = gaussian_timeline
    name = "label_information_affine"
    nothing = {name: np.full_like(found[name], -0.1)}
    found = replace(found, values=found.values | nothing, settings=found.settings | {"information_xy": np.inf})
    ax = plot_information_plane(found)
    assert ax.get_ylim()[1] > 0.5 * ax.get_xlim()[1]
    assert "no information proven" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert not ax.yaxis.get_offset_text().get_text()


def test_a_runaway_bound_does_not_hide_the_others_and_infinities_are_said(gaussian_timeline):
    found, _, _ = gaussian_timeline
    rising = np.geomspace(1, 1e10, found.tau.size)
    bound = np.where(found.tau > found.tau[-2], np.inf, rising)
    nowhere = np.full_like(rising, np.inf)
    values = found.values | {"input_information_leave_one_out": bound, "data_information_joint": nowhere}
    figure = plotting.plot_quantities(replace(found, values=values), columns=1)
    panel, _, data, _ = figure.axes
    top = panel.get_ylim()[1]
    assert found["input_information"].max() / np.log(2) < top < 20 * found["input_information"].max()
    legend = panel.get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    assert [label for label in labels if label.endswith("∞ ↑")] == [labels[1]]
    assert "∞: infinite" in legend.get_title().get_text()
    assert "↑: leaves the panel" in legend.get_title().get_text().replace("\n", " ")
    assert any(text.get_text().endswith("∞") for text in data.get_legend().get_texts())
    assert len({ax.get_xlim() for ax in figure.axes}) == 1  # the same times, whatever is finite


def test_legends_of_linearised_bounds_fit_a_column_of_a_page(gaussian_timeline):
    _, ensemble, data = gaussian_timeline
    bare = {
        name: getattr(ensemble.kernels, name)
        for name in ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
    }
    linearised = ntkinfo.Ensemble(ntkinfo.Kernels(**bare), data.y_train)
    ax = plotting.plot_bounds(ntkinfo.generalisation_bounds(linearised, [0.1, 1.0], y_test=data.y_test))
    ax.figure.canvas.draw()
    assert any("linearised" in text.get_text() for text in ax.get_legend().get_texts())
    assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1 + 1


def test_small_eigenvalues_are_shown_and_few_modes_are_counted():
    rank = np.diag([1.0, 1e-4, 1e-9])
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(rank, rank), [1.0, -1.0, 0.5])
    ax = plotting.plot_mode_table(ntkinfo.mode_table(ensemble, 0.5)).axes[0]
    assert ax.get_ylim()[0] < 1e-9
    assert ax.get_xscale() == "linear"
    assert ax.get_xticks().tolist() == [1, 2, 3]
