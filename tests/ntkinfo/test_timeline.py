"""The timeline: every column its function, one row a time, units, kinds, saving; stable from 1e-6 to 1e12."""

import re
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from wide import WIDE

import ntkinfo
from dualib.core.quantity import Quantity, Registry, Relation, needs
from dualib.core.units import Unit
from ntkinfo import quantities, setting, timelines
from ntkinfo.precision import SIDES, FewDigitsWarning, perturbed
from ntkinfo.quantities import scalar_quadrature
from ntkinfo.quantities.registry import REGISTRY, Condition, DataSets, Group
from ntkinfo.quantities.scalar_quadrature import informations_of
from ntkinfo.setting import GLOSSARY


def test_every_column_is_its_function(gaussian_timeline):
    found, ensemble, data = gaussian_timeline
    i = 9
    tau, law, prior = WIDE[i], ensemble.law(WIDE[i]), ensemble.law(0.0)
    s2 = data.label_noise
    expected = {
        "expected_square_error": quantities.expected_square_error(law, data.y_test),
        "ensemble_square_error": quantities.ensemble_square_error(law, data.y_test),
        "train_square_error": quantities.expected_square_error(ensemble.law(tau, on="train"), data.y_train),
        "train_gibbs_nll": quantities.gibbs_nll(ensemble.law(tau, on="train"), data.y_train),
        "gibbs_nll": quantities.gibbs_nll(law, data.y_test),
        "bayes_nll": quantities.bayes_nll(law, data.y_test),
        "bayes_nll_joint": quantities.bayes_nll_joint(law, data.y_test),
        "input_information": quantities.input_information(law),
        "input_information_leave_one_out": quantities.input_information_leave_one_out(law),
        "label_information_affine": quantities.label_information_affine(law, data.y_test, data.entropy_y),
        "data_information": quantities.data_information(law, prior),
        "data_information_joint": quantities.data_information_joint(law, prior),
        "gaussian_label_information": quantities.gaussian_label_information(ensemble, tau, s2),
        "parameter_label_information": quantities.parameter_label_information(ensemble, tau, s2),
        "parameter_kl": quantities.parameter_kl(ensemble, tau),
        "expected_optimism": quantities.expected_optimism(ensemble, tau, s2),
    }
    for name, value in expected.items():
        assert found[name][i] == pytest.approx(float(value), rel=1e-9), name


def test_table_has_units_kinds_and_sources(gaussian_timeline):
    found, _, _ = gaussian_timeline
    frame, bits = found.to_frame(units="nats"), found.to_frame()
    assert len(frame) == len(WIDE)
    assert frame.columns[0] == "tau"
    np.testing.assert_allclose(bits["parameter_kl_bits"], frame["parameter_kl_nats"] / np.log(2))
    np.testing.assert_array_equal(bits["expected_square_error"], frame["expected_square_error"])
    for column in found.columns:
        assert column.assumption
        assert "derived here" in column.source or "[" in column.source
        assert callable(getattr(quantities, column.name))
    with pytest.raises(ValueError, match="units"):
        found.to_frame(units="bans")


@pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("options", [{}, {"centred": True}, {"mode": "nngp"}, {"ridge": 0.2}], ids=str)
def test_nothing_is_nan_for_duplicate_inputs(linear_model, outputs, options):
    model = linear_model(n=6, m=5, outputs=outputs)
    order = np.array([0, 1, 2, 3, 4, 5, 0, 1, 0, 6, 7, 8, 9])
    labels = np.random.default_rng(0).standard_normal((8, outputs))
    test_labels = np.random.default_rng(1).standard_normal((5, outputs))
    ensemble = type(model)(model.phi[order], model.psi[order], 8, labels, test_labels).ensemble(**options)
    for where in ("test", "train"):
        found = ntkinfo.timeline(ensemble, np.append(WIDE, np.inf), on=where, y_test=test_labels)
        for name, values in found.values.items():
            assert not np.isnan(values).any(), (where, name)
        for lower, upper in (
            ("input_information_kolchinsky_tracey_lower", "input_information_kolchinsky_tracey_upper"),
            ("path_length_lower", "path_length_upper"),
            ("path_length_lower", "path_length_upper_modes"),
        ):
            assert (found[lower] <= found[upper] * (1 + 1e-9) + 1e-9).all()
        for name in ("train_square_error", "train_gibbs_nll"):
            assert (np.diff(found[name]) <= 1e-12).all()


def test_input_information_collapses_on_the_training_points_unless_noise_is_added(gaussian_timeline):
    _, ensemble, _ = gaussian_timeline
    clean = ntkinfo.timeline(ensemble, [1e12, np.inf], on="train")
    np.testing.assert_allclose(clean["input_information_kolchinsky_tracey_lower"], np.log(20))
    assert clean["data_information"][0] == pytest.approx(1e12 * ensemble.eigenvalues[0])  # ½ log Σ/K, far below 1e-308
    assert clean["data_information"][1] == np.inf
    noisy = ntkinfo.timeline(ensemble, [1e12], on="train", output_noise=0.5)
    assert noisy["input_information"][0] < np.log(20) - 0.5
    assert np.isfinite(noisy["data_information"][0])


def test_descent_table(linear_model):
    rule = ntkinfo.GradientDescent(0.2)
    ensemble = linear_model().ensemble(learning_rule=rule)
    found = ntkinfo.timeline(ensemble, rule.round(np.geomspace(0.1, 1e6, 7)))
    assert "parameter_kl_rate" not in found.values
    assert all(np.isfinite(values).all() for values in found.values.values())


def test_a_column_says_of_which_variable_it_is_and_what_it_bounds(gaussian_timeline):
    found, ensemble, data = gaussian_timeline
    relation = Relation
    upper = found.column("input_information_kolchinsky_tracey_upper")
    assert "the 30 test points only" in upper.of
    assert upper.relation is relation.UPPER
    assert "population" in found.column("input_information_leave_one_out").of
    assert found.column("data_information_joint").relation is relation.UPPER_IN_EXPECTATION
    assert "averag" in found.column("data_information_joint").holds_for
    assert found.column("parameter_kl").relation is relation.ESTIMATE  # linearised, of a network that is not linear
    assert "given the training inputs" in found.column("gaussian_label_information").holds_for
    noisy = ntkinfo.timeline(ensemble, [1.0], y_test=data.y_test, output_noise=0.25)
    assert noisy.column("expected_square_error").output_noise == 0.25
    assert noisy.column("train_square_error").output_noise is None
    assert f"label_noise = {data.label_noise:g}" in found.column("parameter_label_information").assumption
    assert found.column("label_information_affine").relation is relation.LOWER
    assert noisy.column("label_information_affine").relation is relation.ESTIMATE  # H(Y) was not given
    last = ntkinfo.Ensemble(ensemble.kernels, data.y_train, mode="nngp")
    assert ntkinfo.timeline(last, [1.0]).column("parameter_kl").relation is relation.UPPER_IN_EXPECTATION
    train = ntkinfo.timeline(ensemble, [1.0], on="train")
    for name in ("input_information_leave_one_out", "label_information_affine"):
        assert train.column(name).relation is relation.ESTIMATE  # the points are no fresh draws given D


def test_description_and_tables_are_whole(gaussian_timeline):
    """Nothing is cut off: every column, assumption and source is in the text; each column is in one group's table."""
    found, _, _ = gaussian_timeline
    text = found.describe(width=10**6)
    for column in found.columns:
        source = column.source.replace("]_", "]")  # which makes links in the documentation only
        for part in (column.name, column.of, column.assumption, source, column.relation, column.holds_for):
            assert part in text
    assert "..." not in found.describe()
    assert "]_" not in found.describe()
    assert max(map(len, found.describe(width=80).splitlines())) <= 80
    groups = {column.group for column in found.columns}
    tables = {group: found.table(group, width=10_000) for group in groups}
    for column in found.columns:
        where = [group for group in groups if f" {column.name}" in tables[group]]
        assert column.group in where
    for width in (80, 120):
        assert max(map(len, found.table("inputs", width=width).splitlines())) <= width
    assert "e-" not in "".join(line.split(maxsplit=1)[1] for line in found.table(width=10_000).splitlines()[2:])
    printed = [
        float(line.split()[1].replace("~0", "0")) for line in found.table("inputs", width=10_000).splitlines()[1:]
    ]
    np.testing.assert_allclose(printed, found.to_frame()["input_information_bits"], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="inputs, labels"):
        found.table("outputs")
    assert str(found) == found.table()


def test_save_and_load(gaussian_timeline, tmp_path):
    found, _, _ = gaussian_timeline
    found.save(tmp_path / "c.npz")
    loaded = ntkinfo.Timeline.load(tmp_path / "c.npz")
    pd.testing.assert_frame_equal(loaded.to_frame(), found.to_frame())
    assert loaded.columns == found.columns
    assert loaded.settings == found.settings


def test_the_table_refuses_before_the_work(linear_model):
    ensemble = linear_model().ensemble()
    for options, match in (
        ({"y_test": np.zeros(3)}, r"\(3,\).*4 test points"),
        ({"y_test": np.zeros((4, 2))}, "has 1 outputs"),
        ({"on": "both"}, "on must be"),
        ({"label_noise": -1.0}, "label_noise"),
        ({"weight_noise": 0.0}, "weight_noise"),
    ):
        with pytest.raises(ValueError, match=match):
            ntkinfo.timeline(ensemble, [1.0], **options)
    assert "nngp_modes" not in vars(ensemble)


def test_one_quadrature_serves_both_informations_of_the_inputs(gaussian_timeline, monkeypatch):
    found, ensemble, data = gaussian_timeline
    calls = []

    def counted(law):
        calls.append(law)
        return informations_of(law)

    for module in (setting, scalar_quadrature):
        monkeypatch.setattr(module, "informations_of", counted)
    tau = found.tau[[5, 9]]
    again = ntkinfo.timeline(ensemble, tau, y_test=data.y_test)
    assert len(calls) == 1  # whose nodes serve the laws moved by their rounding, too
    law = ensemble.marginals(tau)
    for name in ("input_information", "input_information_leave_one_out"):
        np.testing.assert_allclose(again[name], getattr(quantities, name)(law), rtol=1e-11)


def test_the_digits_that_the_kernels_rounding_leaves_are_reported(tmp_path):
    """A smooth kernel of eight points, condition 1e13: informations of labels lose most digits, the Fisher trace none."""
    x = np.linspace(-2, 2, 8)[:, None]
    kernels = ntkinfo.kernels.dense(x, x[:3] + 0.1, hidden_layers=1, b_std=0.3)
    ensemble = ntkinfo.Ensemble(kernels, np.sin(2 * x))
    found = ntkinfo.timeline(ensemble, [1.0, 1e9], digits=True)
    assert found.rounding.keys() == found.values.keys()
    again, other = (ntkinfo.timeline(e, [1.0, 1e9]) for e in (ensemble, perturbed(ensemble, 7)))
    exact = [c.name for c in found.columns if c.relation not in SIDES]
    for name in exact:  # a fourth change is within what three have shown
        loss = found.rounding[name]
        with np.errstate(invalid="ignore"):
            assert (np.isinf(loss) | (np.abs(other[name] - again[name]) <= loss * np.abs(again[name]))).all(), name
    assert found.rounding["fisher_trace"].max() < 1e-13
    assert "at least 13 digits are left" in found.describe("paths")
    assert max(loss.max() for loss in found.rounding.values()) > 1e-9
    assert "the bound is raised by the loss" in found.describe("data", width=200)
    assert again.rounding.keys() == found.values.keys()  # of first order
    for name in ("path_length_lower", "path_length_upper_modes"):
        plain, side = getattr(quantities, name)(ensemble, [1.0, 1e9]), SIDES[again.column(name).relation]
        np.testing.assert_allclose(side * (again[name] - plain), again.rounding[name] * plain, rtol=0.3, err_msg=name)
    told = ["digits that rounding leaves where they are fewest: " in again.table(group, width=200) for group in Group]
    lost = {c.group for c in again.columns if again.rounding.get(c.name, np.zeros(1)).max() > 1e-9}
    assert told == [group in lost for group in Group]
    assert lost
    found.save(tmp_path / "t.npz")
    np.testing.assert_array_equal(
        ntkinfo.Timeline.load(tmp_path / "t.npz").rounding["fisher_trace"], found.rounding["fisher_trace"]
    )


def test_every_quantity_says_what_it_is():
    assert len(REGISTRY) > 40
    for record in REGISTRY.quantities:
        assert record.of
        assert "derived here" in record.source or re.search(r"\[\w+\]_", record.source)
        assert getattr(quantities, record.name) is REGISTRY.function(record.name)


def test_one_name_has_one_meaning():
    """Whatever a quantity needs is in the glossary, and each name there is used."""
    needed = {name for record in REGISTRY for name in needs(REGISTRY.function(record))}
    assert needed == set(GLOSSARY)


def test_a_new_quantity_is_one_function(gaussian_timeline, monkeypatch):
    """Written once under its record, it has a column, a place in its table, a paragraph and a panel, and goes into a file."""
    _, ensemble, _ = gaussian_timeline
    registry = Registry()
    for record in REGISTRY.quantities[:3]:
        registry.register(**{f.name: getattr(record, f.name) for f in fields(Quantity) if f.name != "name"})(
            REGISTRY.function(record.name)
        )
    for module in (setting, timelines):
        monkeypatch.setattr(module, "REGISTRY", registry)

    @registry.register(
        "log 1/Σ",
        Unit.NATS,
        Relation.ESTIMATE,
        of="mean log precision at the points",
        source="derived here",
        group=Group.DATA,
        holds_for=DataSets.ANY,
        only=[Condition.ONE_OUTPUT],
    )
    def log_precision(law, label_noise):
        return -np.log(law.variance).mean(axis=-1)

    found = ntkinfo.timeline(ensemble, [0.0, 1.0])
    expected = -np.log(ensemble.marginals([0.0, 1.0]).variance).mean(axis=-1)
    np.testing.assert_allclose(found["log_precision"], expected, rtol=1e-12)
    np.testing.assert_allclose(found.to_frame()["log_precision_bits"], expected / np.log(2), rtol=1e-12)
    assert "log_precision_bits" in found.table("data", width=200)
    assert "estimate: mean log precision at the 30 test points\n    assumes: label_noise = 1" in found.describe(
        "data", width=200
    )
    (panel,) = ntkinfo.plotting.plot_quantities(found, ["log_precision"]).axes
    assert panel.lines[0].get_label() == "log 1/Σ (estimate)"


def test_sampled_columns_have_their_intervals(linear_model):
    model = linear_model(outputs=2)
    found = ntkinfo.timeline(model.ensemble(), [0.1, 1.0], y_test=model.y_test)
    name = "input_information_infonce"
    law = model.ensemble().marginals([0.1, 1.0])
    np.testing.assert_allclose(found[name], quantities.input_information_infonce(law, 0).value, rtol=1e-9)
    frame = found.to_frame("nats")
    np.testing.assert_array_equal(frame[f"{name}_low_nats"], found.intervals[name].low)
    assert (frame[f"{name}_low_nats"] < frame[f"{name}_nats"]).all()
    assert (frame[f"{name}_nats"] < frame[f"{name}_high_nats"]).all()


def test_the_rounding_of_the_law_is_in_the_bound_on_the_data(gaussian_timeline):
    found, ensemble, _ = gaussian_timeline
    law = ensemble.marginals(WIDE)
    assert law.rounding is not None
    prior = ensemble.law(0.0)
    with_rounding = quantities.data_information(law, prior)
    np.testing.assert_allclose(found["data_information"], with_rounding, rtol=1e-9)
    without = quantities.data_information(replace(law, rounding=None), prior)
    assert (found["data_information"] >= without).all()
    assert (found["data_information"] > without).any()


def test_the_path_in_the_plane_is_that_of_the_main_columns(gaussian_timeline):
    found, ensemble, data = gaussian_timeline
    (path,) = found.plane_paths()
    np.testing.assert_array_equal(path.rate, found["input_information"][1:])
    np.testing.assert_array_equal(path.relevance, np.maximum(found["label_information_affine"][1:], 0.0))
    np.testing.assert_array_equal(found.plane()[2], WIDE > 0)
    assert path.information_xy == np.inf
    known = ntkinfo.timeline(ensemble, [0.1], y_test=data.y_test, information_xy=data.gaussian_ib.mutual_information())
    assert known.plane_paths()[0].information_xy == pytest.approx(0.445)
    with pytest.raises(ValueError, match="give y_test"):
        ntkinfo.timeline(ensemble, [1.0]).plane_paths()


def test_interrupted_writes_leave_the_old_file(tmp_path, gaussian_timeline, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def fail(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        gaussian_timeline[0].save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_lost_digits_are_said_to_who_reads_columns_only():
    kernels = ntkinfo.Kernels(np.diag([1.0, 1e-13]) + 1e-14, np.eye(2))
    with pytest.warns(FewDigitsWarning, match=r"fewer than four digits of \d+ columns.*τ = 1e\+13.*ridge"):
        found = ntkinfo.timeline(ntkinfo.Ensemble(kernels, [1.0, 2.0]), [1.0, 1e13], progress=False)
    lost = found.to_frame().attrs["rounding"]
    assert lost.keys() == found.rounding.keys()
    assert lost["degrees_of_freedom"][1] > 1e-4 > 1e-9 > lost["degrees_of_freedom"][0]
    benign = ntkinfo.Kernels(2 * np.eye(2), np.eye(2))
    for times in ([0.1, 1.0], [0.0], [1e-12]):  # warnings are errors; what a table prints as ~0 has no digits to lose
        ntkinfo.timeline(ntkinfo.Ensemble(benign, [1.0, -1.0]), times, progress=False)


@pytest.mark.filterwarnings("ignore::ntkinfo.precision.FewDigitsWarning")
@pytest.mark.parametrize("kept", [1, 4], ids=["one point", "a constant label"])
def test_labels_without_an_entropy_lose_only_what_needs_it(linear_model, kept):
    model = linear_model(n=6, m=kept).ensemble()
    y_test = np.full((kept, 1), 0.7)
    with pytest.warns(UserWarning, match=rf"test labels of shape \({kept}, 1\) are constant .* give entropy_y"):
        table = ntkinfo.timeline(model, [0.1, 1.0], y_test=y_test)
    whole = ntkinfo.timeline(model, [0.1, 1.0], y_test=y_test, entropy_y=1.4)
    lost = set(whole.values) - set(table.values)
    assert lost == {name for name in whole.values if "entropy_y" in needs(getattr(quantities, name))} != set()
    for name in lost:
        assert "labels that vary in every output" in table.settings["left_out"][name]
    for name in table.values:
        np.testing.assert_array_equal(table[name], whole[name])
