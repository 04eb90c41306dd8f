"""Several runs beside one another: the input-compression bound, intervals, twins, clustering, figures, command."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import deepnets
import ntkinfo
from deepnets import plotting
from deepnets.__main__ import main
from deepnets.estimators import clustering
from deepnets.planes import clustering_paths, compare_runs, input_compression_bound, twins
from deepnets.planes.runs import Compared, over_replicas
from dualib.core.figure import COLUMN
from dualib.core.units import Unit

LN2 = np.log(2)


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """A network, and its parameters as those of a noisy network and of a ReLU network."""
    root = tmp_path_factory.mktemp("runs")
    task = deepnets.two_gaussians_task(160, x_dim=3, seed=1)
    settings = {"epochs": 6, "replicas": 3, "batch_size": 32, "learning_rate": 0.02, "snapshots": 4}
    deepnets.train(deepnets.Network((3, 4, 3, 2)), task, out=root / "twin", progress=False, **settings)
    for name, change in (("noisy", {"noise_std": 0.2}), ("relu", {"activation": "relu"})):
        shutil.copytree(root / "twin", root / name)
        record = json.loads((root / name / "settings.json").read_text())
        record["settings"]["network"] |= change
        (root / name / "settings.json").write_text(json.dumps(record))
    return root


@pytest.fixture(scope="module")
def runs(directories):
    """As the directories, the ReLU network with fewer training patterns."""
    found = {name: deepnets.Run.load(directories / name) for name in ("noisy", "twin", "relu")}
    return {**found, "relu": replace(found["relu"], train_patterns=found["relu"].train_patterns[:, :16])}


@pytest.fixture(scope="module")
def comparison(runs):
    planes = {name: deepnets.information_plane(run, passes=2, progress=False) for name, run in runs.items()}
    return compare_runs(runs, planes)


# --- the bound ---


def test_bound_is_one_where_the_information_is_that_of_twice_the_patterns():
    for m in (1, 205, 3277):
        assert input_compression_bound(np.log(2 * m), m) == pytest.approx(1)
    assert input_compression_bound(0.0, 50) == pytest.approx(0.1)


def test_bound_grows_by_root_two_a_bit_and_falls_by_root_two_a_doubling_of_patterns():
    bits = np.array([0.0, 1.0, 7.3])
    bound = input_compression_bound(bits * LN2, 100)
    np.testing.assert_allclose(input_compression_bound((bits + 1) * LN2, 100), np.sqrt(2) * bound)
    np.testing.assert_allclose(input_compression_bound(bits * LN2, 200), bound / np.sqrt(2))


def test_bound_is_the_limit_of_ntkinfos_without_confidence():
    for nats in (0.0, 2.5, 8.0):
        with_confidence = ntkinfo.bounds.input_compression(nats, 300, delta=1 - 1e-12).value
        assert input_compression_bound(nats, 300) == pytest.approx(with_confidence, rel=1e-9)
        assert input_compression_bound(nats, 300) < ntkinfo.bounds.input_compression(nats, 300).value


def test_bound_goes_over_to_infinity_without_a_warning():
    assert np.isfinite(input_compression_bound(1200.0 * LN2, 10))
    assert np.isinf(input_compression_bound(1e5, 10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, -0.1], 10), "1 rates are negative or NaN"),
        ((np.nan, 10), "negative or NaN"),
        ((1.0, 0), "n_train must be at least 1"),
        ((1.0, 2.5), "n_train must be a whole number"),
    ],
)
def test_bad_input_of_the_bound_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        input_compression_bound(*arguments)


# --- intervals ---


@pytest.mark.parametrize("replicas", [2, 3, 5, 8])
def test_intervals_over_few_replicas_cover_the_mean(replicas):
    draws = np.random.default_rng(replicas).normal(1.0, 0.3, size=(2000, replicas))
    covered = np.mean([e.low <= 1.0 <= e.high for e in (over_replicas(row, Unit.NATS) for row in draws)])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_equal_replicas_say_how_many_others_may_differ():
    """With a share p of others, n of n are equal in (1 - p)^n of the cases: in 5 % at the share that is named."""
    found = over_replicas([2.0] * 5, Unit.NATS)
    (text,) = found.warnings
    share = int(text.split("up to ")[1].split(" %")[0].split("%")[0]) / 100
    assert (1 - share) ** 5 == pytest.approx(0.05, abs=0.005)
    assert not over_replicas([2.0] * 4 + [2.1], Unit.NATS).warnings


def test_one_replica_leaves_the_mean_open():
    found = over_replicas([0.5], Unit.ONE)
    assert (found.value, found.low, found.high) == (0.5, -np.inf, np.inf)
    assert found.warnings
    possible = over_replicas([0.5], Unit.ONE, 0.0, 1.0)
    assert (possible.low, possible.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="repetitions"):
        over_replicas([], Unit.ONE)


# --- comparison ---


def test_comparison_holds_the_planes_last_values(runs, comparison):
    table = comparison.to_frame("bits").set_index(["run", "quantity", "layer"])
    plane = comparison.planes["twin"]
    assert table.loc[("twin", "rate", "2 (3)"), "mean"] == pytest.approx(plane.rate.value[:, -1, 1].mean() / LN2)
    assert table.loc[("twin", "relevance", "output (2)"), "mean"] == pytest.approx(
        plane.relevance.value[:, -1, 2].mean() / LN2
    )
    scores = runs["relu"].scores
    gap = scores["train_accuracy"][-1] - scores["test_accuracy"][-1]
    assert table.loc[("relu", "accuracy_gap", ""), "mean"] == pytest.approx(gap.mean())
    assert table.loc[("relu", "accuracy", ""), "mean"] == pytest.approx(scores["test_accuracy"][-1].mean())
    assert {label: run.n_train for label, run in comparison.runs.items()} == {"noisy": 128, "twin": 128, "relu": 16}
    bits = comparison.planes["relu"].rate.value[:, -1, 1] / LN2
    np.testing.assert_allclose(comparison.runs["relu"].bound.value[:, -1], np.sqrt(2**bits / 32))
    assert (comparison.runs["relu"].bound.value > 1).any() or bits.max() <= 5
    assert ("noisy", "rate", "output (2)") not in table.index  # whose outputs are no layer of its plane


def test_the_estimators_interval_is_kept_apart_from_the_replicas(comparison):
    for value in comparison.final():
        if value.run == "noisy" and value.quantity in (Compared.RATE, Compared.BOUND):
            assert value.estimator_low < value.mean.value < value.estimator_high
        elif value.run != "noisy":
            assert value.estimator_low == value.mean.value == value.estimator_high
    bound = comparison.runs["noisy"].bound
    assert ((bound.low <= bound.value) & (bound.value <= bound.high)).all()


def test_save_and_load(comparison, tmp_path):
    comparison.save(tmp_path / "runs.npz")
    again = type(comparison).load(tmp_path / "runs.npz")
    assert again.to_frame().equals(comparison.to_frame())
    assert again.final() == comparison.final()


def test_numbers_without_unit_are_the_same_in_nats_and_bits(comparison):
    nats, bits = comparison.to_frame("nats"), comparison.to_frame("bits")
    informations = nats.unit == "nats"
    assert set(bits.unit[informations]) == {"bits"}
    np.testing.assert_allclose(bits["mean"][informations] * LN2, nats["mean"][informations])
    np.testing.assert_array_equal(bits["mean"][~informations], nats["mean"][~informations])


def test_a_gap_without_test_patterns_is_nan_and_is_not_drawn(runs, comparison):
    scores = runs["twin"].scores
    unknown = {name: np.full_like(scores[name], np.nan) for name in ("test_accuracy", "test_loss")}
    found = compare_runs(
        {"all": replace(runs["twin"], scores={**scores, **unknown})}, {"all": comparison.planes["twin"]}
    )
    assert np.isnan(found.runs["all"].gap).all()
    assert Compared.GAP not in {value.quantity for value in found.final()}
    assert [line for line in plotting.plot_bound(found).lines if line.get_label() == "_"] == []


def test_planes_of_other_runs_are_refused(runs, comparison):
    with pytest.raises(ValueError, match="same labels"):
        compare_runs(runs, {"noisy": comparison.planes["noisy"]})
    other = replace(runs["relu"], network=replace(runs["relu"].network, widths=(3, 5, 3, 2)))
    with pytest.raises(ValueError, match="plane of 'relu' is of another run"):
        compare_runs({"relu": other}, {"relu": comparison.planes["twin"]})


# --- twins ---


def test_twins_differ_in_the_noise_alone(runs):
    assert twins(runs) == [("noisy", "twin")]
    other = replace(runs["twin"], training=replace(runs["twin"].training, learning_rate=0.1))
    assert twins({**runs, "twin": other}) == []
    longer = replace(runs["twin"], training=replace(runs["twin"].training, epochs=12, replicas=4))
    assert twins({**runs, "twin": longer}) == [("noisy", "twin")]


def test_clustering_paths_are_clustering_of_each_layer_in_common_cells(runs):
    pair = [runs["noisy"], runs["twin"]]
    paths = clustering_paths(pair, replicas=[0, 2], epochs=[0, 6], progress=False)
    count, low, high = paths[0].edges
    assert paths[1].edges == paths[0].edges
    run = runs["twin"]
    assert list(paths[1].epochs) == [run.epochs[np.abs(run.epochs - e).argmin()] for e in (0, 6)]
    t = run.activations(0, 2)[1]
    expected = clustering(t, run.task.p_y_given_x, binning=deepnets.Binning(count, low, high))
    assert paths[1].binned_entropy[1, 0, 1] == pytest.approx(expected.binned_entropy)
    assert paths[1].within[1, 0, 1] == pytest.approx(expected.within_mean)
    assert len(paths[0].to_frame()) == 2 * 2 * 2
    first = paths[0].within[:, 0, 0]  # the same start: noise alone pushes the noisy network's patterns apart
    assert (first > paths[1].within[:, 0, 0]).all()


def test_bad_input_of_clustering_paths_is_named(runs):
    with pytest.raises(ValueError, match="at least one"):
        clustering_paths([], replicas=[0], epochs=[0])
    with pytest.raises(ValueError, match=r"replicas \[3\]"):
        clustering_paths([runs["noisy"], runs["twin"]], replicas=[3], epochs=[0])


# --- figures ---


def test_figures_draw_what_was_computed(runs, comparison):
    figure = plotting.plot_comparison(comparison, "bits")
    values = {v.run: v for v in comparison.final() if v.quantity is Compared.ACCURACY}
    drawn = [line for line in figure.axes[2].lines if len(line.get_xdata()) == 1]
    np.testing.assert_allclose([line.get_xdata()[0] for line in drawn], [values[name].mean.value for name in runs])
    assert "[bits]" in figure.axes[0].get_xlabel()
    ax = plotting.plot_bound(comparison)
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(
        lines["twin, m = 128"].get_ydata(), np.median(comparison.runs["twin"].bound.value, axis=0)
    )
    assert any("vacuous" in text.get_text() for text in ax.texts)
    paths = clustering_paths([runs["noisy"], runs["twin"]], replicas=[0], epochs=[0, 6])
    planes = comparison.planes
    figure = plotting.plot_twins((planes["noisy"], planes["twin"]), (paths[0], paths[1]))
    np.testing.assert_allclose(figure.axes[5].lines[1].get_ydata(), np.median(paths[1].within[:, :, 1], axis=0))
    for drawn_figure in (figure, ax.figure):
        assert drawn_figure.get_figwidth() == COLUMN
    other = replace(planes["relu"], layers=("1 (5)", "2 (3)", "output (2)"))
    with pytest.raises(ValueError, match="not of twins"):
        plotting.plot_twins((planes["noisy"], other), (paths[0], paths[1]))


def test_planes_of_several_runs_have_a_marker_a_layer_name(comparison):
    planes = comparison.planes
    planes["relu"] = replace(planes["relu"], layers=("1 (5)", "2 (3)", "output (2)"))
    figure = plotting.plot_planes(planes)
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["1 (4)", "2 (3)", "output (2)", "1 (5)"]


# --- the command ---


def test_planes_command_writes_what_it_prints(directories, tmp_path, capsys):
    paths = [str(directories / name) for name in ("noisy", "twin", "relu")]
    labels = ["σ = 0.2", "without", "ReLU, 10 %"]
    command = ["planes", *paths, "--out", str(tmp_path), "--passes", "2", "--label", *labels]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "estimated at 3 of 3 replicas" in said
    assert "twins: σ = 0.2 (noisy) and without" in said
    table = pd.read_csv(tmp_path / "runs.csv")
    assert set(table.run) == set(labels)
    record = json.loads((tmp_path / "runs.json").read_text())
    assert [row["mean"] for row in record["rows"]] == pytest.approx(list(table["mean"]))
    assert set(pd.read_csv(tmp_path / "twins_0.2.csv").run) == {"σ = 0.2", "without"}
    for name in ("planes", "runs", "bound", "twins_0.2"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    for label, stem in zip(labels, ("0.2", "without", "ReLU_10"), strict=True):
        plane = deepnets.InformationPlane.load(tmp_path / f"plane_{stem}.npz")
        row = table[(table.run == label) & (table.quantity == "rate")].iloc[0]
        k = plane.layers.index(row.layer)
        assert row["mean"] == pytest.approx(plane.rate.value[:, -1, k].mean() / LN2)


def test_planes_that_are_there_are_read_and_others_estimated_again(directories, tmp_path, capsys):
    command = ["planes", str(directories / "relu"), "--out", str(tmp_path)]
    assert main(command) == 0
    kept = tmp_path / "plane_relu.npz"
    before = kept.stat().st_mtime_ns
    assert main(command) == 0
    assert kept.stat().st_mtime_ns == before
    assert main([*command, "--replicas", "2"]) == 0
    assert len(deepnets.InformationPlane.load(kept).replicas) == 2
    assert main([*command, "--bins", "9", "--replicas", "2"]) == 0
    assert "bins=9" in deepnets.InformationPlane.load(kept).settings["estimator"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--label", "a"], "1 labels for 2 runs"),
        (["--label", "a", "a"], "labels must differ, got 'a'"),
        (["--label", "a b", "a_b"], "labels as names of files must differ"),
        (["--replicas", "-1"], "--replicas must be 0, for all, or a positive number"),
    ],
)
def test_bad_input_of_the_command_is_one_line_and_status_2(directories, tmp_path, capsys, more, message):
    paths = [str(directories / name) for name in ("twin", "relu")]
    assert main(["planes", *paths, "--out", str(tmp_path), *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.fixture(scope="module")
def recorded(directories, tmp_path_factory):
    """The deterministic network as anybody's recording: its layers and accuracies, not what it was trained on."""
    run = deepnets.Run.load(directories / "twin")
    named = {name: of for name, of in zip(run.layers, run.ranges, strict=True) if of is not None}
    recorder = deepnets.Recorder(tmp_path_factory.mktemp("recorded") / "mine", run.task, ranges=named)
    for s, epoch in enumerate(run.epochs.tolist()):
        for r in range(run.n_replicas):
            scores = {name: float(run.scores[name][s, r]) for name in ("train_accuracy", "test_accuracy")}
            recorder.add(epoch, dict(zip(run.layers, run.activations(s, r), strict=True)), replica=r, **scores)
    return recorder.recorded()


def test_a_recording_is_compared_by_all_that_it_tells(runs, recorded):
    both = {"run": runs["twin"], "recorded": recorded}
    found = compare_runs(both, {name: deepnets.information_plane(one, progress=False) for name, one in both.items()})
    values = {name: [v for v in found.final() if v.run == name] for name in both}
    known = [v for v in values["run"] if v.quantity is not Compared.BOUND]
    assert {v.quantity for v in known} == {Compared.RATE, Compared.RELEVANCE, Compared.ACCURACY, Compared.GAP}
    assert [replace(v, run="") for v in known] == [replace(v, run="") for v in values["recorded"]]
    assert found.runs["recorded"].bound is None
    assert twins({"noisy": runs["noisy"], "recorded": recorded}) == []


def test_planes_of_recordings_and_runs_are_drawn_and_not_read_again(directories, recorded, tmp_path, capsys):
    paths = [str(recorded.path), str(directories / "twin")]
    assert main(["planes", *paths, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "mine: a recording does not tell its training patterns, so no input-compression bound" in said
    assert (tmp_path / "bound.png").is_file()
    kept = tmp_path / "plane_mine.npz"
    before = kept.stat().st_mtime_ns
    assert main(["planes", paths[0], "--out", str(tmp_path)]) == 0
    assert kept.stat().st_mtime_ns > before  # of a recording the settings do not tell the numbers
