"""One family of figures: each kind is drawn, and read as a reader would: labels, units, nothing written over anything else."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import deepnets
import dualib
import ntkinfo
from dualib.core.figure import COLOURS, COLUMN, MANY_COLOURS, PAGE

INFORMATIONS = ("I(", "KL", "information", "relevance", "rate ")
SMALLEST = 5.9  # points: of the names along an axis


@pytest.fixture(scope="module")
def curves():
    joint = dualib.examples.toy()
    return [
        dualib.information_curve(p, np.geomspace(2, 40, 12), progress=False)
        for p in (dualib.IB(joint), dualib.DualIB(joint))
    ]


@pytest.fixture(scope="module")
def ensemble():
    rng = np.random.default_rng(0)
    x, test = rng.standard_normal((12, 3)), rng.standard_normal((8, 3))
    kernels = ntkinfo.kernels.dense(x, test, hidden_layers=1, w_std=1.2, b_std=0.3)
    return ntkinfo.Ensemble(kernels, np.sign(x[:, :1])), np.sign(test[:, :1])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Three replicas of two layers at six epochs, whose activations drift apart by class."""
    rng, y = np.random.default_rng(0), np.arange(64) % 2
    recorder = deepnets.Recorder(tmp_path_factory.mktemp("figures") / "run", y)
    for replica in range(3):
        base = rng.standard_normal((64, 3))
        for epoch in (1, 3, 10, 30, 100, 300):
            hidden = np.tanh(base + np.log10(epoch) * (2 * y[:, None] - 1))
            noise = 0.1 * rng.standard_normal((4, 3, 2))
            for g in 1 / epoch + noise:
                recorder.batch(epoch, {"hidden": g}, 16, replica=replica)
            output = np.column_stack([1 - hidden[:, 0], 1 + hidden[:, 0]]) / 2
            layers = {"hidden": hidden, "output": output}
            recorder.add(epoch, layers, replica=replica, weights={"hidden": np.ones((3, 2))}, train_loss=1 / epoch)
    return recorder.recorded()


@pytest.fixture(scope="module")
def plane(recorded):
    return deepnets.information_plane(recorded, deepnets.Binning(6), progress=False)


def dualib_figures(curves):
    yield "plane", dualib.plot_information_plane(curves)
    yield "bifurcation", dualib.plot_bifurcation(curves[1])
    yield "objective", dualib.plot_objective(curves)
    joint = dualib.Joint.from_counts([[20, 5], [12, 9], [3, 30]])
    betas = np.array([2.0, 5.0, 10.0, 30.0])
    sampled = dualib.bootstrap_curve(joint, betas, n_bootstrap=4, progress=False)
    yield "samples", dualib.plotting.plot_samples(sampled, dualib.held_out_relevance(joint, betas, progress=False))


def ntkinfo_figures(ensemble):
    of, y_test = ensemble
    timeline = ntkinfo.timeline(of, np.geomspace(0.01, 100, 5), y_test=y_test, progress=False)
    yield "loss", ntkinfo.plotting.plot_loss(timeline)
    yield "quantities", ntkinfo.plotting.plot_quantities(timeline)
    yield "modes", ntkinfo.plotting.plot_mode_table(ntkinfo.mode_table(of, 1.0))
    yield (
        "bounds",
        ntkinfo.plotting.plot_bounds(ntkinfo.generalisation_bounds(of, np.geomspace(0.01, 100, 5), y_test=y_test)),
    )


def deepnets_figures(plane, recorded):
    phases = deepnets.gradient_phases(recorded)
    plotting = deepnets.plotting
    yield "layers' plane", plotting.plot_plane(plane)
    yield "replicas", plotting.plot_replicas(plane, 100)
    yield "snapshots", plotting.plot_snapshots(plane, (1, 10, 300))
    yield "planes", plotting.plot_planes({"a": plane, "b": plane})
    yield "mean path", plotting.plot_mean_path(plane, phases)
    yield "against epochs", plotting.plot_against_epochs(plane)
    yield "gradient phases", plotting.plot_gradient_phases(phases)
    layers = recorded.activations(-1, 0)
    yield "separation", plotting.plot_label_separation(layers, np.arange(64) % 2, ["hidden", "output"])


def drawn(given: Axes | Figure) -> tuple[Figure, list[Axes]]:
    figure = given.figure if isinstance(given, Axes) else given
    FigureCanvasAgg(figure).draw()
    return figure, [ax for ax in figure.axes if ax.get_visible() and ax.axison]


def is_inset_or_bar(ax: Axes) -> bool:
    return ax.get_subplotspec() is None or hasattr(ax, "_colorbar")


def read(name: str, given: Axes | Figure) -> None:
    """Labels with their units, sizes, colours of the family, and no text over another."""
    figure, every = drawn(given)
    assert figure.get_figwidth() <= PAGE + 1e-9 or len(every) > 2, f"{name}: {figure.get_figwidth()} inches"
    panels = [ax for ax in every if not is_inset_or_bar(ax)]
    assert any(ax.get_xlabel() or figure.get_supxlabel() for ax in panels), f"{name}: no x label"
    assert any(ax.get_ylabel() or ax.get_title() or figure.get_supylabel() for ax in panels), f"{name}: no y label"
    for ax in panels:
        for text in (ax.get_xlabel(), ax.get_ylabel()):
            if any(word in text for word in INFORMATIONS):
                assert "bits" in text, f"{name}: {text!r} has no unit"
        for axis in (ax.xaxis, ax.yaxis):
            along = 0 if axis is ax.xaxis else 1
            boxes = [
                t.label1.get_window_extent()
                for t in axis.get_major_ticks()
                if t.label1.get_text() and t.label1.get_visible()
            ]
            boxes = sorted((b for b in boxes if inside(b, ax, along)), key=lambda b: b.min[along])
            for a, b in pairwise(boxes):
                assert a.max[along] <= b.min[along] + 0.5, f"{name}: tick labels overlap"
        if ax.get_legend():
            texts = [ax.xaxis.label, ax.yaxis.label, ax.title]
            legend = ax.get_legend().get_window_extent()
            assert not any(t.get_text() and legend.padded(-2).overlaps(t.get_window_extent()) for t in texts), (
                f"{name}: legend over a label"
            )
            width, height = figure.bbox.max
            assert min(legend.x0, legend.y0) >= -1, f"{name}: the legend leaves the figure"
            assert legend.x1 <= width + 1, f"{name}: the legend leaves the figure"
            assert legend.y1 <= height + 1, f"{name}: the legend leaves the figure"
        sizes = [t.get_fontsize() for t in (ax.xaxis.label, ax.yaxis.label, ax.title) if t.get_text()]
        assert all(size >= SMALLEST for size in sizes), f"{name}: {sizes}"
        top = ax.spines["top"].get_visible() if "top" in ax.spines else False
        assert not top, f"{name}: a frame that the family does not have"


def inside(box, ax: Axes, along: int) -> bool:
    """Whether a tick label stands within the axes: those beyond the limits are not drawn."""
    middle = (box.min[along] + box.max[along]) / 2
    return ax.bbox.min[along] - 1 <= middle <= ax.bbox.max[along] + 1


def test_figures_of_dualib(curves):
    for name, given in dualib_figures(curves):
        read(name, given)
        if isinstance(given, Axes):
            assert given.figure.get_figwidth() == pytest.approx(COLUMN)


def test_figures_of_ntkinfo(ensemble):
    for name, given in ntkinfo_figures(ensemble):
        read(name, given)


def test_figures_of_deepnets(plane, recorded):
    for name, given in deepnets_figures(plane, recorded):
        read(name, given)


def test_overlaps_would_be_seen():
    figure = Figure(figsize=(1.0, 1.0))
    ax = figure.subplots()
    ax.spines["top"].set_visible(False)
    ax.set(xlabel="x", ylabel="y", xticks=[0.0, 0.01, 1.0])
    ax.set_xticklabels(["a long label", "another", "1"])
    with pytest.raises(AssertionError, match="tick labels overlap"):
        read("crowded", ax)


def test_the_palettes_can_be_told_apart_by_the_colour_blind():
    """No two colours of a palette coincide for dichromats (Viénot, Brettel & Mollon 1999)."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    for palette in (COLOURS, MANY_COLOURS):
        rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in palette]) ** 2.2
        for blind in (np.eye(3), protan, deutan):
            seen = np.clip(rgb @ (np.linalg.inv(to_lms) @ blind @ to_lms).T, 0, 1) ** (1 / 2.2)
            apart = np.linalg.norm(seen[:, None] - seen, axis=-1) + 9 * np.eye(len(palette))
            assert apart.min() > 0.08
