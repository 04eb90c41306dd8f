"""The movie of the information plane: every replica's layers, epoch by epoch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepnets.gradients import GradientPhases
from deepnets.planes.phase_change import phase_change
from deepnets.planes.plane import SIDES, InformationPlane
from deepnets.plotting.planes import axis_labels, legend_of_names, set_limits, shown_epochs
from dualib.core.arrays import positive, whole
from dualib.core.figure import SMALL, colour, describe, marker, panels
from dualib.core.files import atomic_path
from dualib.core.progress import progress_bar
from dualib.core.units import Units, to_units

if TYPE_CHECKING:
    from matplotlib.animation import AbstractMovieWriter

DPI = 120
HELD = 4
"""How often the last frame is shown."""


def write_movie(
    plane: InformationPlane,
    path: str | PathLike[str],
    *,
    phases: GradientPhases | None = None,
    frames: int | None = None,
    fps: float = 8.0,
    units: Units = "bits",
    progress: bool | None = None,
) -> None:
    """Write the movie of a plane: one frame a snapshot, as an animated .gif, or as .mp4 where ffmpeg is installed.

    Every replica is a point a layer, with the layer's mean path behind it. The clock below is the epoch, on a logarithmic scale:
    over it the layers' signal-to-noise ratio of the gradients, where `phases` are given, or the accuracy. When a layer has
    passed the epoch at which its gradients' noise takes over, its place then is marked; a line joins these places.

    Parameters
    ----------
    plane : InformationPlane
    path : path
        Ends with .gif or .mp4.
    phases : GradientPhases or None
        Of the same training.
    frames : int or None
        About how many snapshots, evenly spaced among those of the plane; by default all.
    fps : float
        Frames a second.
    units : {"bits", "nats"}
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Raises
    ------
    ValueError
        If the path has another ending, or ffmpeg is not there for .mp4.

    Examples
    --------
    >>> write_movie(plane, "plane.gif", fps=4.0)  # doctest: +SKIP
    """
    writer = movie_writer(Path(path), fps)
    last = len(plane.epochs) - 1
    count = last + 1 if frames is None else min(whole(frames, "frames", 2), last + 1)
    shown = np.unique(np.linspace(0, last, count).round().astype(np.int64))
    movie = Movie(plane, phases, units)
    with (
        atomic_path(path) as temporary,
        writer.saving(movie.figure, str(temporary), DPI),
        progress_bar(len(shown), "movie", progress) as done,
    ):
        for snapshot in (*shown.tolist(), *[last] * HELD):
            movie.show(snapshot)
            writer.grab_frame()
            done(1)


def movie_writer(path: Path, fps: float) -> AbstractMovieWriter:
    """What writes a movie of that ending; a ValueError if there is nothing."""
    from matplotlib.animation import FFMpegWriter, PillowWriter

    positive(fps, "fps")
    if path.suffix == ".gif":
        return PillowWriter(fps=fps)  # type: ignore[arg-type]
    if path.suffix != ".mp4":
        raise ValueError(f"{path} must end with .gif or .mp4")
    if not FFMpegWriter.isAvailable():
        raise ValueError(f"{path}: ffmpeg is not installed, without which there is no .mp4: install it, or choose .gif")
    return FFMpegWriter(fps=fps)  # type: ignore[arg-type]


class Movie:
    """The figure of a movie.

    Attributes
    ----------
    figure : Figure
    """

    def __init__(self, plane: InformationPlane, phases: GradientPhases | None, units: Units) -> None:
        self.plane, self._units = plane, units
        self.change = None if phases is None else phase_change(plane, phases)
        self._values = [plane.side(side, units).value for side in SIDES]
        self._means = [values.mean(axis=0) for values in self._values]
        self.figure, (self.ax, self.clock) = panels(1, 2, width=5.0, height=2.6, height_ratios=[3.2, 1.0])
        self._draw_plane()
        self._draw_clock(phases)
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # or every frame would be laid out anew, and tremble

    def _draw_plane(self) -> None:
        plane, ax, units = self.plane, self.ax, self._units
        self._paths = [ax.plot([], [], color=colour(j), lw=1, alpha=0.5)[0] for j in range(len(plane.layers))]
        self._points = [
            ax.scatter([], [], s=16, color=colour(j), marker=marker(j), alpha=0.75, linewidths=0)
            for j in range(len(plane.layers))
        ]
        (self._line,) = ax.plot([], [], color="0.15", lw=1.2, marker="o", mfc="white", markersize=4, zorder=4)
        ax.axhline(to_units(plane.information_xy, units), color="0.4", linestyle=":", linewidth=1)
        set_limits(ax, [plane], units)
        describe(ax, *axis_labels(units), legend=False)
        self._epoch = ax.set_title("epoch", loc="left", fontsize=11)
        if self.change is not None:
            self._said = ax.text(0.98, 0.03, "o–o  gradient noise takes over", fontsize=SMALL, transform=ax.transAxes)
            self._said.set(horizontalalignment="right", visible=False)
        names = plane.layers
        handles = [ax.scatter([], [], color=colour(j), s=16, marker=marker(j)) for j in range(len(names))]
        legend_of_names(self.figure, handles, names, 6)

    def _draw_clock(self, phases: GradientPhases | None) -> None:
        clock, epochs = self.clock, shown_epochs(self.plane.epochs)
        clock.set_xscale("log")
        clock.set_xlim(epochs[0] * 0.95, epochs[-1] * 1.05)
        if phases is not None:
            for j, column in enumerate(np.nanmedian(phases.snr, axis=0).T):
                clock.plot(shown_epochs(phases.epochs), column, color=colour(j), lw=1)
            clock.axhline(1.0, color="0.4", ls=":", lw=1)
            clock.set_yscale("log")
            describe(clock, "epoch (0 at the left end)", "SNR of the\ngradients", legend=False)
        elif np.isfinite(self.plane.accuracy).any():
            clock.plot(epochs, np.nanmean(self.plane.accuracy, axis=0), color="0.3", lw=1)
            describe(clock, "epoch (0 at the left end)", "accuracy,\nmean", legend=False)
        else:
            clock.set_yticks([])
            describe(clock, "epoch (0 at the left end)", "", legend=False)
        self._hand = clock.axvline(epochs[0], color=colour(1), lw=1.6)

    def show(self, snapshot: int) -> None:
        """Draw the plane as it is at a snapshot."""
        (x, y), epoch = self._values, int(self.plane.epochs[snapshot])
        for j, (points, path) in enumerate(zip(self._points, self._paths, strict=True)):
            points.set_offsets(np.column_stack([x[:, snapshot, j], y[:, snapshot, j]]))
            path.set_data(*(mean[: snapshot + 1, j] for mean in self._means))
        self._epoch.set_text(f"epoch {epoch:,}".replace(",", " "))
        at = float(shown_epochs(self.plane.epochs)[snapshot])
        self._hand.set_xdata([at, at])
        if self.change is not None:
            passed = self.change.epochs <= epoch
            ends = (self.change.rate, self.change.relevance)
            self._line.set_data(*(to_units(end[passed], self._units) for end in ends))
            self._said.set_visible(bool(passed.any()))
