"""The table: one row a time, units, kinds, saving; stable from 1e-6 to 1e12; datasets; figures; the command line."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkinfo
from ntkinfo.__main__ import main

WIDE = np.concatenate([[0.0], np.geomspace(1e-6, 1e12, 19)])


@pytest.fixture(scope="module")
def gaussian_curve():
    data = ntkinfo.gaussian_task(20, 30, x_dim=6, seed=1)
    kernels = ntkinfo.Kernels.compute(ntkinfo.mlp().kernel_fn, data.x_train, data.x_test)
    ensemble = ntkinfo.Ensemble(kernels, data.y_train)
    options = {"y_test": data.y_test, "entropy_y": data.entropy_y, "label_noise": data.label_noise}
    return ntkinfo.information_curve(ensemble, WIDE, **options), ensemble, data


def test_every_column_is_its_function(gaussian_curve):
    curve, ensemble, data = gaussian_curve
    i = 9
    tau, law, prior = WIDE[i], ensemble.law(WIDE[i]), ensemble.law(0.0)
    s2 = data.label_noise
    expected = {
        "square_error": ntkinfo.expected_square_error(law, data.y_test),
        "ensemble_square_error": ntkinfo.ensemble_square_error(law, data.y_test),
        "train_square_error": ntkinfo.expected_square_error(ensemble.law(tau, on="train"), data.y_train),
        "train_gibbs_nll": ntkinfo.gibbs_nll(ensemble.law(tau, on="train"), data.y_train),
        "gibbs_nll": ntkinfo.gibbs_nll(law, data.y_test),
        "bayes_nll": ntkinfo.bayes_nll(law, data.y_test),
        "bayes_nll_joint": ntkinfo.bayes_nll_joint(law, data.y_test),
        "i_zx_exact": ntkinfo.input_information(law),
        "i_zx_leave_one_out_upper": ntkinfo.input_information_leave_one_out(law),
        "i_zy_affine_lower": ntkinfo.label_information_affine(law, data.y_test, data.entropy_y),
        "i_zd_upper": ntkinfo.data_information(law, prior),
        "i_zd_joint_upper": ntkinfo.data_information_joint(law, prior),
        "i_zy_given_x_exact": ntkinfo.gaussian_label_information(ensemble, tau, s2),
        "i_theta_y_exact": ntkinfo.parameter_label_information(ensemble, tau, s2),
        "parameter_kl": ntkinfo.parameter_kl(ensemble, tau),
        "expected_optimism": ntkinfo.expected_optimism(ensemble, tau, s2),
    }
    for name, value in expected.items():
        assert curve[name][i] == pytest.approx(float(value), rel=1e-9), name


def test_table_has_units_kinds_and_sources(gaussian_curve):
    curve, _, _ = gaussian_curve
    frame, bits = curve.to_frame(), curve.to_frame(units="bits")
    assert len(frame) == len(WIDE)
    assert frame.columns[0] == "tau"
    np.testing.assert_allclose(bits["parameter_kl_bits"], frame["parameter_kl_nats"] / np.log(2))
    np.testing.assert_array_equal(bits["square_error"], frame["square_error"])
    for column in curve.columns:
        assert column.assumption
        assert "derived here" in column.source or "[" in column.source
        assert hasattr(ntkinfo, column.function)
    with pytest.raises(ValueError, match="units"):
        curve.to_frame(units="bans")


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("options", [{}, {"centred": True}, {"mode": "nngp"}, {"ridge": 0.2}], ids=str)
def test_nothing_is_nan_for_duplicate_inputs(linear_model, outputs, options):
    model = linear_model(n=6, m=5, outputs=outputs)
    order = np.array([0, 1, 2, 3, 4, 5, 0, 1, 0, 6, 7, 8, 9])
    labels = np.random.default_rng(0).standard_normal((8, outputs))
    test_labels = np.random.default_rng(1).standard_normal((5, outputs))
    ensemble = type(model)(model.phi[order], model.psi[order], 8, labels, test_labels).ensemble(**options)
    for where in ("test", "train"):
        curve = ntkinfo.information_curve(ensemble, np.append(WIDE, np.inf), x=where, y_test=test_labels)
        for name, values in curve.values.items():
            assert not np.isnan(values).any(), (where, name)
        for lower, upper in (
            ("i_zx_kolchinsky_tracey_lower", "i_zx_kolchinsky_tracey_upper"),
            ("path_length_lower", "path_length_upper"),
            ("path_length_lower", "path_length_upper_modes"),
        ):
            assert (curve[lower] <= curve[upper] * (1 + 1e-9) + 1e-9).all()
        for name in ("train_square_error", "train_gibbs_nll"):
            assert (np.diff(curve[name]) <= 1e-12).all()


def test_input_information_collapses_on_the_training_points_unless_noise_is_added(gaussian_curve):
    _, ensemble, _ = gaussian_curve
    clean = ntkinfo.information_curve(ensemble, [1e12], x="train")
    assert clean["i_zx_kolchinsky_tracey_lower"][0] == pytest.approx(np.log(20))
    assert clean["i_zd_upper"][0] == np.inf
    noisy = ntkinfo.information_curve(ensemble, [1e12], x="train", output_noise=0.5)
    assert noisy["i_zx_exact"][0] < np.log(20) - 0.5
    assert np.isfinite(noisy["i_zd_upper"][0])


def test_descent_table(linear_model):
    rule = ntkinfo.GradientDescent(0.2)
    ensemble = linear_model().ensemble(learning_rule=rule)
    curve = ntkinfo.information_curve(ensemble, rule.round(np.geomspace(0.1, 1e6, 7)))
    assert "parameter_kl_rate" not in curve.values
    assert all(np.isfinite(values).all() for values in curve.values.values())


def test_a_column_says_of_which_variable_it_is_and_what_it_bounds(gaussian_curve):
    curve, ensemble, data = gaussian_curve
    relation = ntkinfo.Relation
    upper = curve.column("i_zx_kolchinsky_tracey_upper")
    assert "the 30 test points only" in upper.of
    assert upper.relation is relation.UPPER
    assert "population" in curve.column("i_zx_leave_one_out_upper").of
    assert curve.column("i_zd_joint_upper").relation is relation.UPPER_IN_EXPECTATION
    assert "averag" in curve.column("i_zd_joint_upper").data_sets
    assert curve.column("parameter_kl").relation is relation.ESTIMATE  # linearised, of a network that is not linear
    assert "given the training inputs" in curve.column("i_zy_given_x_exact").data_sets
    noisy = ntkinfo.information_curve(ensemble, [1.0], y_test=data.y_test, output_noise=0.25)
    assert noisy.column("square_error").output_noise == 0.25
    assert noisy.column("train_square_error").output_noise is None
    assert f"s² = {data.label_noise:g}" in curve.column("i_theta_y_exact").assumption
    assert curve.column("i_zy_affine_lower").relation is relation.LOWER
    assert noisy.column("i_zy_affine_lower").relation is relation.ESTIMATE  # H(Y) was not given
    last = ntkinfo.Ensemble(ensemble.kernels, data.y_train, mode="nngp")
    assert ntkinfo.information_curve(last, [1.0]).column("parameter_kl").relation is relation.UPPER_IN_EXPECTATION
    train = ntkinfo.information_curve(ensemble, [1.0], x="train")
    for name in ("i_zx_leave_one_out_upper", "i_zy_affine_lower"):
        assert train.column(name).relation is relation.ESTIMATE  # the points are no fresh draws given D


def test_description_and_tables_are_whole(gaussian_curve):
    """Nothing is cut off: every column, assumption and source is in the text; each column is in one group's table."""
    curve, _, _ = gaussian_curve
    text = curve.describe(width=10**6)
    for column in curve.columns:
        for part in (column.name, column.of, column.assumption, column.source, column.relation, column.data_sets):
            assert part in text
    assert "..." not in curve.describe()
    assert max(map(len, curve.describe(width=80).splitlines())) <= 80
    groups = {column.group for column in curve.columns}
    tables = {group: curve.table(group) for group in groups}
    for column in curve.columns:
        where = [group for group in groups if f" {column.name}" in tables[group]]
        assert column.group in where
    assert max(len(line) for line in curve.table("inputs").splitlines()) < 160
    assert "e-" not in "".join(line.split(maxsplit=1)[1] for line in curve.table().splitlines()[2:])
    printed = [float(line.split()[1].replace("~0", "0")) for line in curve.table("inputs", "bits").splitlines()[1:]]
    np.testing.assert_allclose(printed, curve.to_frame("bits")["i_zx_exact_bits"], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="inputs, labels"):
        curve.table("outputs")
    assert str(curve) == curve.table()


def test_default_times_cover_what_moves_and_nothing_else(gaussian_curve):
    """Before and after them nothing is left to see; between two of them no quantity leaps."""
    _, ensemble, data = gaussian_curve
    times = ntkinfo.default_times(ensemble, 25)
    values = ensemble.eigenvalues
    assert times.size == 25
    assert (np.diff(times) > 0).all()
    assert times[0] == pytest.approx(0.1 / values[-1])
    assert times[-1] <= 10 / values[0] * (1 + 1e-12)
    curve = ntkinfo.information_curve(ensemble, y_test=data.y_test, entropy_y=data.entropy_y)
    np.testing.assert_array_equal(curve.tau, times)
    long = ntkinfo.information_curve(ensemble, [0.0, 100 * times[-1]], y_test=data.y_test, entropy_y=data.entropy_y)
    for name in ("train_square_error", "square_error", "i_zx_exact", "i_zy_affine_lower", "i_zd_upper"):
        span = np.ptp(np.append(curve[name], long[name]))
        assert abs(curve[name][-1] - long[name][1]) < 0.01 * span, name
        assert np.abs(np.diff(curve[name])).max() < 0.3 * span, name
        assert abs(curve[name][-1] - curve[name][-4]) > 1e-5 * span, name


@pytest.mark.parametrize(
    "values",
    [np.geomspace(1e-14, 1, 30), np.geomspace(1, 1e6, 5), np.array([1e-200, 2e-200]), np.ones(1), np.zeros(3)],
    ids=["condition 1e14", "1e6", "tiny", "one mode", "zero"],
)
def test_default_times_of_any_spectrum(values):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((values.size, values.size)))
    kernel = (basis * values) @ basis.T
    kernel = 0.5 * (kernel + kernel.T)
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(kernel, kernel), rng.standard_normal(values.size))
    if not values.any():
        with pytest.raises(ValueError, match="Θ is zero"):
            ntkinfo.default_times(ensemble)
        return
    times = ntkinfo.default_times(ensemble)
    assert times.size == 25
    assert (np.diff(times) > 0).all()
    slowest = ensemble.eigenvalues[-ensemble.rank]
    assert 0.09 / ensemble.eigenvalues[-1] < times[0] < times[-1] <= 10 / slowest * (1 + 1e-9)
    left = 1 - ensemble.mode_power @ (1 - ensemble.spectrum(times[-1]).decay[0]) / ensemble.mode_power.sum()
    assert left < 2e-4 + ensemble.mode_power[: values.size - ensemble.rank].sum() / ensemble.mode_power.sum()


def test_default_times_scale_with_the_kernels(linear_model):
    """Kernels times c train c times as fast; the labels times √c, so that nothing else changes: also where c² underflows."""
    kernels, y = linear_model().kernels, linear_model().y
    expected = ntkinfo.default_times(ntkinfo.Ensemble(kernels, y))
    blocks = ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
    for c in (1e-200, 1e100):
        scaled = ntkinfo.Kernels(**{name: getattr(kernels, name) * c for name in blocks})
        times = ntkinfo.default_times(ntkinfo.Ensemble(scaled, y * np.sqrt(c)))
        np.testing.assert_allclose(times * c, expected, rtol=1e-9)


def test_default_times_of_descent_are_whole_steps(linear_model):
    rule = ntkinfo.GradientDescent(0.2)
    ensemble = linear_model().ensemble(learning_rule=rule)
    times = ntkinfo.default_times(ensemble, 9)
    np.testing.assert_array_equal(times, rule.round(times))
    assert (np.diff(times) > 0).all()
    with pytest.raises(ValueError, match="count"):
        ntkinfo.default_times(ensemble, 1)


def test_save_and_load(gaussian_curve, tmp_path):
    curve, _, _ = gaussian_curve
    curve.save(tmp_path / "c.npz")
    loaded = ntkinfo.InformationCurve.load(tmp_path / "c.npz")
    pd.testing.assert_frame_equal(loaded.to_frame(), curve.to_frame())
    assert loaded.columns == curve.columns
    assert loaded.settings == curve.settings


def test_the_table_refuses_before_the_work(linear_model):
    ensemble = linear_model().ensemble()
    for options, match in (
        ({"y_test": np.zeros(3)}, r"\(3,\).*4 test points"),
        ({"y_test": np.zeros((4, 2))}, "has 1 outputs"),
        ({"x": "both"}, "x must be"),
        ({"label_noise": -1.0}, "label_noise"),
        ({"weight_noise": 0.0}, "weight_noise"),
    ):
        with pytest.raises(ValueError, match=match):
            ntkinfo.information_curve(ensemble, [1.0], **options)
    assert "nngp_modes" not in vars(ensemble)


def test_every_quantity_says_what_it_is():
    records = ntkinfo.quantities()
    assert len(records) > 30
    for record in records:
        assert record.assumption
        assert record.of
        assert "derived here" in record.source or re.search(r"\[\w+\]_", record.source)


# --- datasets ---


@pytest.mark.parametrize("y_dim", [1, 3])
def test_gaussian_task_has_the_information_it_says(y_dim):
    data = ntkinfo.gaussian_task(50_000, 10, x_dim=5, y_dim=y_dim, information=0.6, seed=2)
    assert data.gaussian_ib.mutual_information() == pytest.approx(0.6, abs=1e-9)
    joint = np.cov(np.hstack([data.x_train, data.y_train]), rowvar=False)
    log_dets = [np.linalg.slogdet(part)[1] for part in (joint[:5, :5], joint[5:, 5:], joint)]
    assert 0.5 * (log_dets[0] + log_dets[1] - log_dets[2]) == pytest.approx(0.6, abs=0.02)
    residual = data.y_train - data.x_train @ np.linalg.lstsq(data.x_train, data.y_train, rcond=None)[0]
    assert residual.var() == pytest.approx(data.label_noise, rel=0.03)
    assert ntkinfo.gaussian_plug_in_entropy(data.y_train) == pytest.approx(data.entropy_y, abs=0.03)


def test_digits_parity():
    data = ntkinfo.digits_parity(300, 200, seed=0)
    assert set(np.unique(data.y_train)) == {-1.0, 1.0}
    assert ntkinfo.digits_parity(30, 20, images=True).x_test.shape == (20, 8, 8, 1)
    again = ntkinfo.digits_parity(300, 200, seed=0)
    np.testing.assert_array_equal(again.x_train, data.x_train)
    with pytest.raises(ValueError, match="1797"):
        ntkinfo.digits_parity(1700, 200)


def test_npz(tmp_path):
    x = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    np.savez(tmp_path / "m.npz", x_train=x, y_train=np.arange(5), x_test=x[:2], y_test=np.arange(2))
    data = ntkinfo.from_npz(tmp_path / "m.npz", 3, parity=True, images=True)
    assert data.x_train.shape == (3, 4, 4, 1)
    assert data.x_test.max() <= 1
    np.testing.assert_array_equal(data.y_test[:, 0], [1, -1])
    with pytest.raises(ValueError, match=r'5 values from 0 to 4.*labels="classes"'):
        ntkinfo.from_npz(tmp_path / "m.npz")
    classes = ntkinfo.from_npz(tmp_path / "m.npz", labels="classes")
    np.testing.assert_array_equal(classes.y_train, np.eye(5))
    np.testing.assert_array_equal(classes.y_test, np.eye(5)[:2])
    assert classes.settings["labels"] == "5 classes: one-hot"
    numbers = ntkinfo.from_npz(tmp_path / "m.npz", labels="numbers")
    np.testing.assert_array_equal(numbers.y_train[:, 0], np.arange(5))
    with pytest.raises(ValueError, match="fewer than n_train = 6"):
        ntkinfo.from_npz(tmp_path / "m.npz", 6)
    np.savez(tmp_path / "bad.npz", x_train=x)
    with pytest.raises(ValueError, match="has no y_train, x_test, y_test"):
        ntkinfo.from_npz(tmp_path / "bad.npz")


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int8, "U1"])
def test_labels_of_two_classes_are_signs(tmp_path, dtype):
    y = np.array([0, 1, 1, 0]).astype(dtype)
    np.savez(tmp_path / "two.npz", x_train=np.eye(4), y_train=y, x_test=np.eye(4), y_test=y)
    data = ntkinfo.from_npz(tmp_path / "two.npz", labels="classes")
    np.testing.assert_array_equal(data.y_train[:, 0], [-1, 1, 1, -1])
    assert data.y_test.dtype == np.float64


def test_one_hot_shares_the_classes_of_all_arrays():
    train, test = ntkinfo.one_hot(np.array([4, 7, 4]), np.array([[9.0], [7.0]]))
    np.testing.assert_array_equal(train, [[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(test, [[0, 0, 1], [0, 1, 0]])
    for wrong, match in (([0.5, 1], "whole"), ([[0, 1], [1, 0]], "one a point"), ([3, 3], "at least two")):
        with pytest.raises(ValueError, match=match):
            ntkinfo.one_hot(np.array(wrong))


def test_class_numbers_are_not_regressed_in_silence(linear_model):
    """Ten digits as numbers have squared error 8.25 when nothing is known; as classes, one output each."""
    model = linear_model(n=6)
    ensemble = type(model)(model.phi, model.psi, 6, np.array([0, 1, 2, 2, 1, 0.0])[:, None], model.y_test).ensemble()
    for table in (ntkinfo.information_curve, ntkinfo.generalisation_bounds):
        with pytest.warns(ntkinfo.ClassLabelWarning, match=r"3 classes.*one_hot"):
            table(ensemble, [1.0])


def test_test_labels_of_any_real_type(linear_model):
    model = linear_model()
    ensemble = model.ensemble()
    for labels in (model.y_test.astype(np.float32), model.y_test > 0, (model.y_test > 0).astype(np.int8)):
        expected = ntkinfo.information_curve(ensemble, [1.0], y_test=labels.astype(float))
        found = ntkinfo.information_curve(ensemble, [1.0], y_test=labels)
        assert found["square_error"] == expected["square_error"]
        table = ntkinfo.generalisation_bounds(ensemble, [1.0], y_test=labels)
        assert table.test_risk == ntkinfo.generalisation_bounds(ensemble, [1.0], y_test=labels.astype(float)).test_risk


# --- figures ---


def test_figures_draw_the_numbers(gaussian_curve):
    from matplotlib.figure import Figure

    curve, ensemble, data = gaussian_curve
    lower = curve["i_zy_affine_lower"] - 0.05  # a lower bound that is negative at the start
    curve = replace(curve, values=curve.values | {"i_zy_affine_lower": lower})
    ax = Figure().subplots()
    assert ntkinfo.plot_loss(curve, ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), curve["square_error"])
    ax = ntkinfo.plot_information_plane(curve, data.gaussian_ib, Figure().subplots(), units="bits")
    assert "bits" in ax.get_xlabel()
    assert "exact" in ax.get_xlabel()
    assert "affine decoder (lower bound)" in ax.get_ylabel()
    assert "no violation" in ax.get_title()
    proven = curve["i_zy_affine_lower"][1:] > 0
    assert not proven.all()
    for points, chosen in zip(ax.collections, (proven, ~proven), strict=False):
        np.testing.assert_allclose(points.get_offsets()[:, 0], curve["i_zx_exact"][1:][chosen] / np.log(2))
        bound = np.maximum(curve["i_zy_affine_lower"][1:][chosen], 0) / np.log(2)
        np.testing.assert_allclose(points.get_offsets()[:, 1], bound)
    assert "no information proven" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert not ntkinfo.plot_information_plane(curve, ax=Figure().subplots()).get_title()
    frontier = next(line for line in ax.lines if "frontier" in line.get_label())
    np.testing.assert_allclose(
        frontier.get_ydata() * np.log(2), data.gaussian_ib.relevance_at(frontier.get_xdata() * np.log(2)), atol=1e-12
    )
    (panel,) = ntkinfo.plot_quantities(curve, ["parameter_kl"], Figure(), units="nats").axes
    assert "nats" in panel.get_ylabel()
    panels = ntkinfo.plot_quantities(curve, figure=Figure(), units="bits").axes
    drawn = sum(len(ax.lines) for ax in panels)
    groups = ("inputs", "labels", "data", "parameters")
    assert drawn == sum(column.group in groups for column in curve.columns)
    assert len(panels) == 4
    assert {ax.get_ylabel() for ax in panels} == {"[bits]"}
    with pytest.raises(ValueError, match="no column mistaken"):
        ntkinfo.plot_quantities(curve, ["mistaken"], Figure())
    ledger = ntkinfo.mode_table(ensemble, 1.0)
    panels = ntkinfo.plot_mode_ledger(ledger, Figure()).axes
    np.testing.assert_array_equal(panels[0].lines[0].get_ydata(), ledger.eigenvalue)
    np.testing.assert_array_equal(panels[1].lines[0].get_ydata(), ledger.fitted)
    table = ntkinfo.generalisation_bounds(ensemble, WIDE[1:], y_test=data.y_test)
    ax = ntkinfo.plot_bounds(table, Figure().subplots())
    assert max(np.nanmax(line.get_ydata(), initial=0.0) for line in ax.lines) < 1
    with pytest.raises(ValueError, match="give y_test"):
        ntkinfo.plot_information_plane(ntkinfo.information_curve(ensemble, [1.0]))


def test_legends_fit_a_column_of_a_page(gaussian_curve):
    """At 8.5 cm: inside the figure, and over no line."""
    from matplotlib.figure import Figure

    curve, _, _ = gaussian_curve
    figure = ntkinfo.plot_quantities(curve, figure=Figure(figsize=(3.35, 9.5), layout="constrained"))
    figure.canvas.draw()
    for ax in figure.axes:
        legend, panel = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert legend.y0 >= panel.y1 - 1
        assert legend.x1 <= figure.bbox.x1 + 1
        assert panel.width > 0.6 * figure.bbox.width


# --- command line ---

SMALL = ["--n-train", "12", "--n-test", "15", "--taus", "1e-2", "1e2", "4"]


def test_curve_command_writes_what_it_prints(tmp_path, capsys):
    assert main(["curve", *SMALL, "--units", "bits", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "parameter_kl_infinite_width_bits" in printed.out
    assert printed.err == ""
    frame = pd.read_csv(tmp_path / "out" / "curve.csv")
    curve = ntkinfo.InformationCurve.load(tmp_path / "out" / "curve.npz")
    np.testing.assert_allclose(frame["parameter_kl_bits"], curve["parameter_kl"] / np.log(2))
    record = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert record["command"]["seed"] == 0
    assert record["columns"]["i_zx_exact"]["relation"] == "exact"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    figures = {f"{name}.png" for name in ("loss", "plane", "quantities", "ledger")}
    assert written == {"curve.npz", "curve.csv", "curve.json", "columns.txt", "ledger.csv"} | figures


def test_bounds_command(tmp_path, capsys):
    assert main(["bounds", "--task", "digits", "--loss", "zero_one", *SMALL, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "input compression: a heuristic, no bound" in out
    assert "linearised" not in out
    record = json.loads((tmp_path / "bounds.json").read_text())
    assert record["settings"]["parameter_kl"] == "infinite width"
    assert record["heuristics"] == ["input compression"]
    assert {path.name for path in tmp_path.iterdir()} == {"bounds.csv", "bounds.json", "bounds.png"}


def test_commands_say_where_the_kl_is_linearised_and_what_the_labels_are(tmp_path, capsys):
    x, y = np.eye(6, 3) + 1.0, np.array([0, 1, 2, 2, 1, 0])
    np.savez(tmp_path / "n.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    numbers = ["bounds", "--task", str(tmp_path / "n.npz"), "--n-train", "5", "--n-test", "5", "--taus", "1", "2", "2"]
    assert main([*numbers, "--labels", "numbers"]) == 0  # asked for: no warning
    assert "labels: numbers" in capsys.readouterr().out
    assert main(numbers) == 2
    assert 'labels="classes"' in capsys.readouterr().err
    relu = ["--activation", "relu", "--task", "digits", "--labels", "classes", "--loss", "zero_one"]
    assert main(["bounds", *SMALL, *relu, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "mcallester_linearised_kl" in out
    assert "labels: 10 classes: one-hot" in out
    record = json.loads((tmp_path / "bounds.json").read_text())
    assert record["settings"]["parameter_kl"] == "linearised"
    assert record["assumptions"]["McAllester (linearised KL)"]["relation"] == "estimate"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mnist"], "unknown task 'mnist'"),
        (["--task", "missing.npz"], "missing.npz"),
        (["--taus", "1", "0.1", "3"], "--taus needs"),
        (["--activation", "step"], "unknown activation 'step'"),
        (["--step", "100"], "diverges"),
        (["--architecture", "cnn"], "no images"),
        (["--n-train", "0"], "n_train"),
        (["--ridge", "-1"], "ridge"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(arguments, message, capsys):
    assert main(["curve", *SMALL, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.sampled_from(["nan", "inf", "-1", "0", "1", "2.5"]), min_size=3, max_size=3))
def test_times_out_of_range_never_end_in_a_traceback(values):
    low, high, count = map(float, values)
    if 0 < low <= high < np.inf and count == 1:
        return
    assert main(["bounds", "--n-train", "3", "--n-test", "4", "--taus", *values]) == 2


def test_interrupted_writes_leave_the_old_file(tmp_path, gaussian_curve, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def fail(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        gaussian_curve[0].save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_labels_without_an_entropy_are_refused_before_the_laws(gaussian_curve, monkeypatch):
    _, ensemble, data = gaussian_curve
    monkeypatch.setattr(ntkinfo.Ensemble, "laws", lambda *_: pytest.fail("the long work has begun"))
    with pytest.raises(ValueError, match=r"test labels of shape \(30, 1\) are constant.*give entropy_y"):
        ntkinfo.information_curve(ensemble, [1.0], y_test=np.full_like(data.y_test, 0.3))
