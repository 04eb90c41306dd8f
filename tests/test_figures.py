"""One family of figures: each kind is drawn, and read as a reader would: labels, units, nothing written over anything else."""

import ast
import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

import deepnets
import deepnets.variational.plotting as variational_plotting
import dualib
import ntkinfo
from deepnets.planes import fit_beta, fit_random_encoder, input_compression_bound
from deepnets.plotting.movie import Movie
from deepnets.relaxation.comparison import Difference, RelaxationComparison
from deepnets.variational.evaluation import Evaluation, Readings, Scores
from deepnets.variational.gap import Gap
from deepnets.widths import Row
from dualib.core.estimate import Estimates, Kind
from dualib.core.figure import COLOURS, COLUMN, MANY_COLOURS, PAGE
from dualib.core.quantity import Relation
from dualib.core.units import Unit

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


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A noisy run and a deterministic one, as recordings of two hidden layers."""
    found = []
    for noise, name in ((0.1, "noisy"), (0.0, "twin")):
        rng, y = np.random.default_rng(1), np.arange(40) % 2
        recorder = deepnets.Recorder(tmp_path_factory.mktemp(name) / "run", y)
        base = rng.standard_normal((40, 2))
        for epoch in (1, 10, 100):
            first = np.tanh(base + np.log10(epoch) * (2 * y[:, None] - 1) + noise * rng.standard_normal((40, 2)))
            output = np.column_stack([1 - first[:, 0], 1 + first[:, 0]]) / 2
            recorder.add(epoch, {"first": first, "second": first**3, "output": output})
        recording = recorder.recorded()
        (path,) = deepnets.planes.clustering_paths(
            [recording], replicas=[0], epochs=[1, 10, 100], bins=8, progress=False
        )
        found.append((deepnets.information_plane(recording, deepnets.Binning(8), progress=False), path))
    return found


@pytest.fixture(scope="module")
def comparison():
    """Quantities of networks of four widths at two times."""
    of = {"input_information": (0.4, 0.9), "label_information_unit_noise": (0.2, 0.5)}
    rows = tuple(
        Row(name, tau, width, value, value + 2 * tau / width, 0.01, relation=Relation.LOWER, unit=Unit.NATS)
        for name, values in of.items()
        for tau, value in zip((0.5, 1.5), values, strict=True)
        for width in (64, 128, 256, 512)
    )
    return deepnets.Comparison(rows, (), {})


@pytest.fixture(scope="module")
def relaxations():
    """Two methods' changes at four costs."""
    rng, cost = np.random.default_rng(0), (100.0, 200.0, 400.0, 800.0)
    units = {
        "train loss": Unit.NATS,
        "test loss": Unit.NATS,
        "test accuracy": Unit.ONE,
        "norm of the parameters": Unit.ONE,
    }
    units |= {"I(X;T) binned, layer 1": Unit.NATS, "I(X;T) binned, layer 2": Unit.NATS}
    return RelaxationComparison(
        tuple(
            Difference(method, name, c, dualib.statistics.mean(rng.normal(sign * c / 800, 0.1, 6), unit), None)
            for method, sign in (("continued training", -1), ("Metropolis, κ = 1", -0.5))
            for name, unit in units.items()
            for c in cost
        ),
        (),
    )


@pytest.fixture(scope="module")
def fits():
    """Evaluations and gaps of two objectives at three seeds and four β."""
    betas, rng = np.array([1.0, 3.0, 10.0, 30.0]), np.random.default_rng(0)
    rate = np.log1p(betas) / 2 + 0.05 * rng.standard_normal((3, 4))

    def scores(nll):
        return Scores(*(nll if name == "nll" else np.full((3, 4), 0.1) for name in (f.name for f in fields(Scores))))

    one = scores(0.7 * np.exp(-rate))
    readings = Readings(one, one, one, one)
    evaluations = {
        name: Evaluation(name, betas, rate + 0.1, rate, rate - 0.1, np.log(2), readings, readings, 100)
        for name in ("VIB", "variational dualIB")
    }
    part = Estimates(*(np.abs(rate) * f for f in (0.1, 0.08, 0.12)), Kind.NUMERICAL)
    total = Estimates(*(np.abs(rate) * f for f in (0.3, 0.24, 0.36)), Kind.NUMERICAL)
    gap = Gap("VIB", betas, part, part, part, total, np.zeros(4), np.zeros(4), rate, rate)
    return evaluations, {"VIB": gap, "variational dualIB": gap}


def dualib_figures(curves):
    """Functions with what they drew."""
    yield dualib.plot_information_plane, dualib.plot_information_plane(curves)
    yield dualib.plot_bifurcation, dualib.plot_bifurcation(curves[1])
    yield dualib.plot_bifurcation, dualib.plot_bifurcation(curves[0], y=0)
    yield dualib.plot_objective, dualib.plot_objective(curves)
    joint = dualib.Joint.from_counts([[20, 5], [12, 9], [3, 30]])
    betas = np.array([2.0, 5.0, 10.0, 30.0])
    sampled = dualib.bootstrap_curve(joint, betas, n_bootstrap=4, progress=False)
    held_out = dualib.held_out_relevance(joint, betas, progress=False)
    yield dualib.plotting.plot_samples, dualib.plotting.plot_samples(sampled, held_out)


def ntkinfo_figures(ensemble):
    """Functions with what they drew."""
    of, y_test = ensemble
    timeline = ntkinfo.timeline(of, np.geomspace(0.01, 100, 5), y_test=y_test, progress=False)
    bounds = ntkinfo.generalisation_bounds(of, np.geomspace(0.01, 100, 5), y_test=y_test)
    plotting = ntkinfo.plotting
    yield plotting.plot_loss, plotting.plot_loss(timeline)
    yield plotting.plot_quantities, plotting.plot_quantities(timeline)
    yield plotting.plot_mode_table, plotting.plot_mode_table(ntkinfo.mode_table(of, 1.0))
    yield plotting.plot_bounds, plotting.plot_bounds(bounds)


def deepnets_figures(plane, recorded):
    """Functions with what they drew of one recording."""
    phases = deepnets.gradient_phases(recorded)
    plotting = deepnets.plotting
    yield plotting.plot_plane, plotting.plot_plane(plane)
    yield plotting.plot_replicas, plotting.plot_replicas(plane, 100)
    yield plotting.plot_snapshots, plotting.plot_snapshots(plane, (1, 10, 300))
    yield plotting.plot_planes, plotting.plot_planes({"a": plane, "b": plane})
    yield plotting.plot_mean_path, plotting.plot_mean_path(plane, phases)
    yield plotting.plot_against_epochs, plotting.plot_against_epochs(plane)
    yield plotting.plot_gradient_phases, plotting.plot_gradient_phases(phases)
    layers, y = recorded.activations(-1, 0), np.arange(64) % 2
    yield plotting.plot_label_separation, plotting.plot_label_separation(layers, y, ["hidden", "output"])
    movie = Movie(plane, phases, "bits")
    movie.show(4)
    yield plotting.write_movie, movie.figure
    measures = deepnets.estimators.clustering(layers[0], np.eye(2)[y])
    yield deepnets.estimators.Clustering.plot, measures.plot()
    sensitivity = deepnets.Binning(6).sensitivity(layers[0], np.eye(2)[y], bins=[4, 8, 16, 64])
    yield deepnets.estimators.Sensitivity.plot, sensitivity.plot()


def compared_figures(twins, comparison, relaxations, fits, plane, recorded):
    """Functions with what they drew of several runs, widths, relaxations and fits."""
    plotting, (evaluations, gaps) = deepnets.plotting, fits
    found = deepnets.compare_runs({"tanh": recorded, "relu": recorded}, {"tanh": plane, "relu": plane})
    values = input_compression_bound(plane.rate.value[:, :, 0], 52)
    bound = Estimates(values, 0.9 * values, 1.1 * values, Kind.HEURISTIC, Unit.ONE)
    bounded = {label: replace(run, n_train=52, bound=bound, gap=values / 9) for label, run in found.runs.items()}
    yield plotting.plot_comparison, plotting.plot_comparison(replace(found, runs=bounded))
    yield plotting.plot_bound, plotting.plot_bound(replace(found, runs=bounded))
    (noisy, path), (twin, other) = twins
    yield plotting.plot_twins, plotting.plot_twins((noisy, twin), (path, other))
    yield (
        plotting.plot_quantity,
        plotting.plot_quantity({f"erf, depth {k}": comparison for k in (1, 2, 3)}, "input_information"),
    )
    yield plotting.plot_finite_plane, plotting.plot_finite_plane(comparison)
    yield plotting.plot_relaxations, plotting.plot_relaxations(relaxations)
    yield variational_plotting.plot_rate_relevance, variational_plotting.plot_rate_relevance(evaluations)
    yield variational_plotting.plot_planes, variational_plotting.plot_planes(evaluations)
    several = {f"objective {k}": gap for k, gap in enumerate([*gaps.values()] * 2)}
    yield variational_plotting.plot_gap, variational_plotting.plot_gap(several)


def layers_figure():
    """Three layers against the exact curves of a small joint, with random encoders."""
    joint = dualib.Joint([[0.2, 0.05], [0.18, 0.07], [0.06, 0.19], [0.05, 0.2]])
    curves = [
        dualib.information_curve(p, np.geomspace(1.5, 300, 20), progress=False)
        for p in (dualib.IB(joint), dualib.DualIB(joint))
    ]
    codes = ([0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 0, 1])
    layers = [fit_beta(c, joint) for c in codes]
    controls = [fit_random_encoder(c, joint, seed=1) for c in codes]
    return deepnets.plotting.plot_layers_against_bottleneck(layers, ["layer 1", "layer 2", "layer 3"], curves, controls)


def drawn(given: Axes | Figure) -> tuple[Figure, list[Axes]]:
    figure = given.figure if isinstance(given, Axes) else given
    figure.draw_without_rendering()
    return figure, [ax for ax in figure.axes if ax.get_visible() and ax.axison]


def is_inset_or_bar(ax: Axes) -> bool:
    return ax.get_subplotspec() is None or hasattr(ax, "_colorbar")


def read(name: str, given: Axes | Figure) -> None:
    """Labels with their units, sizes, colours of the family, and no text over another."""
    figure, every = drawn(given)
    assert figure.get_figwidth() <= PAGE + 1e-9 or len(every) > 2, f"{name}: {figure.get_figwidth()} inches"
    panels = [ax for ax in every if not is_inset_or_bar(ax)]
    assert any(ax.get_xlabel() or figure.get_supxlabel() for ax in panels), f"{name}: no x label"
    categories = any(t.get_text().isalpha() for ax in panels for t in ax.get_yticklabels())
    assert categories or any(ax.get_ylabel() or ax.get_title() for ax in panels), f"{name}: no y label"
    for legend in figure.legends:
        over = [ax for ax in panels if legend.get_window_extent().padded(-2).overlaps(ax.bbox)]
        assert not over, f"{name}: the legend of the figure lies over a panel"
    for ax in panels:
        for text in (ax.get_xlabel(), ax.get_ylabel()):
            if any(word in text for word in INFORMATIONS):
                assert "bits" in text, f"{name}: {text!r} has no unit"
        for axis in (ax.xaxis, ax.yaxis):
            along = 0 if axis is ax.xaxis else 1
            boxes = [
                t.label1.get_window_extent()
                for t in (*axis.get_major_ticks(), *axis.get_minor_ticks())
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
            assert not covered(ax, legend), f"{name}: the legend covers {covered(ax, legend)} of the data"
            width, height = figure.bbox.max
            assert min(legend.x0, legend.y0) >= -1, f"{name}: the legend leaves the figure"
            assert legend.x1 <= width + 1, f"{name}: the legend leaves the figure"
            assert legend.y1 <= height + 1, f"{name}: the legend leaves the figure"
        sizes = [t.get_fontsize() for t in (ax.xaxis.label, ax.yaxis.label, ax.title) if t.get_text()]
        assert all(size >= SMALLEST for size in sizes), f"{name}: {sizes}"
        top = ax.spines["top"].get_visible() if "top" in ax.spines else False
        assert not top, f"{name}: a frame that the family does not have"


def covered(ax: Axes, legend: Bbox) -> int:
    """How many places of lines and points, bars and symbols, lie under the legend; reference lines are none."""
    count, box = 0, legend.padded(-3)
    for line in ax.lines:
        if line.get_transform().contains_branch(ax.transData):  # not axhline and axvline
            xy = ax.transData.transform(line.get_xydata())
            if line.get_linestyle() not in ("None", "") and len(xy) > 1:
                xy = np.concatenate([np.linspace(a, b, 20) for a, b in pairwise(xy)])
            count += sum(box.contains(x, y) for x, y in xy if ax.bbox.contains(x, y))
    for points in ax.collections:
        offsets = points.get_offset_transform().transform(points.get_offsets())
        count += sum(box.contains(x, y) for x, y in offsets if ax.bbox.contains(x, y)) if len(offsets) > 1 else 0
    return count + sum(box.overlaps(bar.get_window_extent()) for bar in ax.patches)


def inside(box, ax: Axes, along: int) -> bool:
    """Whether a tick label stands within the axes: those beyond the limits are not drawn."""
    middle = (box.min[along] + box.max[along]) / 2
    return ax.bbox.min[along] - 1 <= middle <= ax.bbox.max[along] + 1


def read_all(drawn_by) -> None:
    for function, given in drawn_by:
        read(function.__qualname__, given)
        if isinstance(given, Axes):
            assert given.figure.get_figwidth() == pytest.approx(COLUMN)


def test_figures_of_dualib(curves):
    read_all(dualib_figures(curves))


def test_figures_of_ntkinfo(ensemble):
    read_all(ntkinfo_figures(ensemble))


def test_figures_of_deepnets(plane, recorded):
    read_all(deepnets_figures(plane, recorded))


def test_figures_of_comparisons(twins, comparison, relaxations, fits, plane, recorded):
    read_all(compared_figures(twins, comparison, relaxations, fits, plane, recorded))
    read_all([(deepnets.plotting.plot_layers_against_bottleneck, layers_figure())])


def plot_functions() -> set[str]:
    """Every public function and method of the packages that returns axes or a figure, and the movie."""
    root, found = Path(dualib.__file__).parents[1], {"deepnets.plotting.movie.write_movie"}
    for path in (p for package in ("dualib", "ntkinfo", "deepnets") for p in sorted((root / package).rglob("*.py"))):
        text, module = path.read_text(encoding="utf-8"), ".".join(path.relative_to(root).with_suffix("").parts)
        for node in ast.parse(text).body if re.search("-> (Axes|Figure):", text) else ():
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            for one in (n for n in inner if isinstance(n, ast.FunctionDef) and n.returns and n.name[0] != "_"):
                if ast.unparse(one.returns) in ("Axes", "Figure") and module != "dualib.core.figure":
                    found.add(f"{module}.{node.name}.{one.name}" if one is not node else f"{module}.{one.name}")
    return found


def test_every_kind_of_figure_is_read():
    """A new plot function belongs into one of the lists above."""
    here = ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    named = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in here
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert {name for name in plot_functions() if name.rsplit(".", 1)[1] not in named} == set()


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
