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
    assert max(np.nanmax(line.get_ydata(), initial=0.0) for line in ax.lines) < 1


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
    (hollow,) = (line for line in ax.lines if line.get_gid() == "hollow")
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
