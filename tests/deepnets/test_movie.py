"""Movies and figures of planes draw what was computed."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import deepnets
from deepnets import plotting
from deepnets.estimators import Kind
from deepnets.gradients import GradientPhases
from deepnets.planes import InformationPlane
from deepnets.plotting.movie import Movie
from deepnets.plotting.widths import plot_quantity
from dualib.core.estimate import Estimates
from dualib.core.figure import COLUMN, PAGE

LN2 = np.log(2)


@pytest.fixture(scope="module")
def plane():
    rng = np.random.default_rng(0)
    rate, relevance = rng.random((5, 4, 3)) + 1, rng.random((5, 4, 3))
    return InformationPlane(
        np.array([0, 10, 100, 1000]),
        np.arange(5),
        Estimates(rate, rate, rate, Kind.EXACT),
        Estimates(relevance, relevance, relevance, Kind.EXACT),
        rng.random((5, 4)),
        ("1", "2", "output"),
        3.0,
        1.0,
    )


@pytest.fixture(scope="module")
def phases(plane):
    mean = np.broadcast_to(np.array([4.0, 2.0, 0.5, 0.1])[None, :, None], (5, 4, 3)).copy()
    ones = np.ones_like(mean)
    return GradientPhases(plane.epochs, mean, ones, ones, 8, ("a", "b", "c"))


def test_frames_show_every_replica_the_clock_and_the_line_of_the_phase_change(plane, phases):
    movie = Movie(plane, phases, "bits")
    x, y = plane.rate.value / LN2, plane.relevance.value / LN2
    for s in range(4):
        movie.show(s)
        for j in range(3):
            points = movie.ax.collections[j].get_offsets()
            np.testing.assert_allclose(points, np.column_stack([x[:, s, j], y[:, s, j]]))
            path = movie.ax.lines[j].get_xydata()
            np.testing.assert_allclose(
                path, np.column_stack([x[:, : s + 1, j].mean(axis=0), y[:, : s + 1, j].mean(axis=0)])
            )
        hand = movie.clock.lines[-1].get_xdata()
        assert list(hand) == [max(plane.epochs[s], 0.5)] * 2
        assert movie.ax.get_title(loc="left") == ("epoch 0", "epoch 10", "epoch 100", "epoch 1 000")[s]
        line = movie.ax.lines[3].get_xydata()
        assert len(line) == (3 if s >= 2 else 0)  # the change is at epoch 32.3


def test_a_gif_has_a_frame_a_snapshot(plane, phases, tmp_path):
    plotting.write_movie(plane, tmp_path / "plane.gif", phases=phases, frames=3)
    with Image.open(tmp_path / "plane.gif") as image:
        assert image.n_frames == 3
        shown = [np.asarray(image.convert("L")).copy() for k in range(3) if image.seek(k) is None]
    assert (shown[0] != shown[1]).any()
    assert (shown[1] != shown[2]).any()


def test_movies_that_cannot_be_written_are_refused_before_any_frame(plane, tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    with pytest.raises(ValueError, match=r"must end with \.gif or \.mp4"):
        plotting.write_movie(plane, tmp_path / "plane.avi")
    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(ValueError, match="ffmpeg is not installed"):
        plotting.write_movie(plane, tmp_path / "plane.mp4")
    assert not list(tmp_path.iterdir())


def test_the_mean_path_bears_the_line_of_the_phase_change(plane, phases):
    ax = plotting.plot_mean_path(plane, phases)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), plane.rate.value[:, :, 0].mean(axis=0) / LN2)
    assert len(ax.lines[3].get_xdata()) == 3
    assert "epoch 32" in ax.texts[0].get_text()
    assert not plotting.plot_mean_path(plane).texts


def test_six_depths_and_three_sample_sizes_fit_a_page(plane):
    for count in (6, 3):
        figure = plotting.plot_planes({f"{k} layers": replace(plane) for k in range(count)}, columns=3)
        assert figure.get_figwidth() == PAGE
        assert [ax.get_title() for ax in figure.axes[:count]] == [f"{k} layers" for k in range(count)]


def test_layers_of_unlike_depths_have_a_marker_each(plane):
    """Six networks with eleven names, more than there are markers: their numbers, and the outputs, which all have."""
    widths = [(10, 7, 5, 4, 3)[:k] for k in range(1, 6)] + [(12, 10, 7, 5, 4, 3)]
    planes = {}
    for own in widths:
        names = (*(f"{j + 1} ({w})" for j, w in enumerate(own)), "output (2)")
        values = np.tile(plane.rate.value[..., :1], len(names))
        side = Estimates(values, values, values, Kind.EXACT)
        planes[f"{len(own)}, {own[0]}"] = replace(plane, layers=names, rate=side, relevance=side)
    figure = plotting.plot_planes(planes, columns=3)
    assert [text.get_text() for text in figure.legends[0].texts] == ["1", "2", "3", "4", "5", "6", "output (2)"]
    shapes = [handle.get_paths()[0].vertices.tobytes() for handle in figure.legends[0].legend_handles]
    assert len(set(shapes)) == 7


def test_many_panels_stay_within_a_page(plane):
    one, epochs = np.ones((1, 2, 7)), np.array([1, 10])
    phases = GradientPhases(epochs, one, 2 * one, one, 16, tuple("abcdefg"))
    rows = tuple(deepnets.widths.Row("train_square_error", 0.5, n, 0.2, v, 0.001) for n, v in ((64, 0.21), (128, 0.20)))
    comparison = deepnets.Comparison(rows, (), {})
    figures = (
        plotting.plot_gradient_phases(phases),
        plotting.plot_snapshots(plane, [0, 1, 2, 3, 4]),
        plotting.plot_label_separation([np.eye(4)] * 5, [0, 1, 0, 1], list("abcde")),
        *(
            plot_quantity({f"depth {k}": comparison for k in range(count)}, "train_square_error")
            for count in (2, 3, 4, 7)
        ),
    )
    for figure in figures:
        assert figure.get_figwidth() == PAGE
        shown = [ax for ax in figure.axes if ax.get_visible()]
        assert len({round(ax.get_position().x0, 6) for ax in shown}) <= 3
    assert len(shown) == 7
    assert plot_quantity({"one": comparison}, "train_square_error").get_figwidth() == COLUMN
    with pytest.raises(ValueError, match="at least one comparison"):
        plot_quantity({}, "train_square_error")


def test_representations_are_drawn_on_their_principal_axes():
    rng = np.random.default_rng(0)
    t = rng.normal(size=(50, 4)) * [5, 2, 1, 0.1]
    labels = np.arange(50) % 2
    figure = plotting.plot_label_separation([t, t[:, :1]], labels, ["all", "one"])
    drawn = figure.axes[0].collections[0].get_offsets()
    values = np.linalg.eigvalsh(np.cov(t.T))[::-1]
    np.testing.assert_allclose(np.var(drawn, axis=0, ddof=1), values[:2])
    assert f"{values[0] / values.sum():.0%} of the variance" in figure.axes[0].get_xlabel()
    assert np.ptp(figure.axes[1].collections[0].get_offsets()[:, 1]) == 0
    assert [text.get_text() for text in figure.legends[0].texts] == ["0", "1"]
