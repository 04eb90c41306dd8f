"""Finite against infinite: a small comparison, what it says and what it would have seen; interruptions; the report."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

import deepnets
import ntkinfo
from deepnets import plotting
from deepnets.__main__ import main
from deepnets.widths import Comparison, Verdict, compare, samples, slopes
from deepnets.widths.exponents import bias_exponent
from deepnets.widths.finite import LEAST, jackknife
from deepnets.widths.slopes import Slopes
from dualib.core.quantity import Relation
from ntkinfo.quantities import REGISTRY
from ntkinfo.setting import Setting

WIDTHS = (64, 128, 256, 512)


@pytest.mark.parametrize("power", [-1.0, -0.5, -1.5])
def test_the_power_of_a_bias_below_the_noise_of_single_entries_is_found(power):
    rng = np.random.default_rng(0)
    widths, vector, error = np.array(WIDTHS, float), rng.normal(size=200), 0.002
    found = []
    for _ in range(30):
        means = (widths / 64)[:, None] ** power * vector * 0.01 + rng.normal(size=(4, 200)) * error
        found.append(bias_exponent(widths, means, np.full((4, 200), error)))
    assert abs(np.mean(found) - power) < 4 * np.std(found) / np.sqrt(30) + 0.05


def test_jackknife_of_a_mean_and_of_a_variance():
    sample = np.random.default_rng(0).normal(size=1000)
    value, error, freedom = jackknife(lambda x: float(x.mean()), sample)
    assert freedom == 24
    assert value == pytest.approx(sample.mean(), abs=1e-12)
    assert error == pytest.approx(sample.std() / np.sqrt(1000), rel=0.5)
    samples = np.random.default_rng(1).normal(size=(300, 50))
    corrected = np.array([jackknife(lambda x: float(x.var()), x)[0] for x in samples])  # var is biased by 1/50
    assert abs(corrected.mean() - 1) < 4 * corrected.std() / np.sqrt(300)
    assert abs(samples.var(axis=1).mean() - 1) > 0.01


SMALL = {"widths": (16, 32, 64), "replicas": 200, "taus": (0.8,)}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "flows"
    return deepnets.compare_with_infinite_width(out=path, **SMALL), path


def test_a_comparison_has_every_row_and_the_parameters_divergence_agrees(small):
    found, _ = small
    frame = found.to_frame()
    assert set(frame.width) == {16, 32, 64}
    assert (frame.std_error > 0).all()
    by_quantity = {v.quantity: v.verdict for v in found.verdicts(within=0.3)}
    agreeing = ("parameter_distance_squared", "fisher_trace", "degrees_of_freedom")
    for name in ("parameter_kl_infinite_width", "parameter_kl_infinite_width_rate", *agreeing):
        assert by_quantity[name] is Verdict.AGREES, name
    for name in ("path_length_lower", "path_length_upper", "path_length_upper_modes"):
        assert by_quantity[name] is Verdict.HOLDS, name
    own = {v.quantity: v.verdict for v in found.verdicts()}
    assert own["parameter_kl"] is Verdict.DIFFERS  # linearised, of a nonlinear network
    needed = found.plan().needed
    assert needed["gibbs_nll"] < 200 < needed["data_information"]  # 2.6 and 20 % would have been seen
    fluctuation = found.exponents[2]
    assert fluctuation.low <= -0.4
    assert fluctuation.high >= -0.6


def multiplied(comparison, factor):
    """The verdicts on the predictions of the networks themselves, not linearised, times a factor."""
    rows = [r for r in comparison.rows if r.relation is Relation.EXACT and r.quantity not in LINEARISED]
    return [
        v.verdict
        for v in replace(comparison, rows=tuple(replace(r, infinite=factor * r.infinite) for r in rows)).verdicts()
        if v.widths
    ]


LINEARISED = {"parameter_kl", "parameter_kl_rate", "parameter_kl_published"}


def test_predictions_that_are_off_are_no_longer_called_agreement(small):
    right = multiplied(small[0], 1.0)
    assert right.count(Verdict.AGREES) >= 8
    assert Verdict.DIFFERS not in right
    assert multiplied(small[0], 1.05).count(Verdict.AGREES) <= 2  # 2.5 % of 29 is less than one
    for factor in (1.1, 1.2):
        wrong = multiplied(small[0], factor)
        assert Verdict.AGREES not in wrong
    assert wrong.count(Verdict.DIFFERS) >= 8


def test_every_row_states_what_it_would_have_seen(small):
    table = small[0].to_table()
    assert list(table.columns[4:8]) == ["predicted", "width 16", "width 32", "width 64"]
    exact = table[table.relation == Relation.EXACT]
    seen = 3.6 * exact.std_error / exact.predicted.abs()  # 1.96 + 1.645, at least
    assert (exact.detectable >= seen).all()
    assert (exact.detectable <= 1.2 * seen).all()
    agreeing = [v.detectable for v in small[0].agreements() if v.verdict is Verdict.AGREES]
    assert agreeing
    assert max(agreeing) < 0.1
    assert ((table.low <= table.extrapolated) & (table.extrapolated <= table.high)).all()


def test_slopes_are_those_of_theory(small):
    """Coefficients of 1/width, predicted from the four-point function, against 200 to 800 networks of each width."""
    found = {v.quantity: v for v in small[0].agreements()}
    known = {name: v for name, v in found.items() if v.slope_agrees is not None}
    assert {"expected_square_error", "data_information_joint", "degrees_of_freedom", "fisher_trace"} <= set(known)
    assert all(v.slope_agrees for name, v in known.items() if name != "data_information_train")  # its modes mix
    table = small[0].to_table("nats").set_index("quantity")
    assert table.slope_predicted["fisher_trace"] == pytest.approx(0.0, abs=1e-6)  # no bias with one hidden layer
    limit, b = known["train_square_error"].predicted, known["train_square_error"].predicted_slope
    assert (
        abs(limit + b / 64 - table["width 64"]["train_square_error"])
        < 4 * small[0].select("train_square_error")[-1].std_error
    )


@pytest.mark.parametrize("points", [slopes.MOST_POINTS, slopes.MOST_POINTS + 1])
def test_slopes_are_computed_up_to_a_number_of_points_and_it_is_said(points, monkeypatch):
    """The coefficients themselves are left out here: both sides of the limit, and what is said beyond it."""
    asked = []

    def refuse(*of, **options):
        asked.append(of)
        raise ValueError("asked")

    monkeypatch.setattr(slopes, "corrections", refuse)
    x = np.random.default_rng(0).standard_normal((points, 3))
    kernels = ntkinfo.kernels.dense(x[:3], hidden_layers=1)
    setting = Setting(ntkinfo.Ensemble(kernels, np.ones(3)), (1.0,))
    found = slopes.predicted_slopes(setting, deepnets.Network((3, 4, 1), "erf", parameterisation="ntk"), x, [])
    assert found.values == ()
    assert len(asked) == (points == slopes.MOST_POINTS)
    assert ("asked" if asked else "up to 20 points, not for 21") in found.note


def test_a_kink_takes_the_parameters_divergence_and_the_powers_of_the_bias_and_nothing_else(small):
    """With few networks, on threads: what both take is said, and the rest is there."""
    few = {**SMALL, "activation": "relu", "widths": (16, 32), "replicas": 20}
    with ThreadPoolExecutor(2) as executor:
        found = deepnets.compare_with_infinite_width(**few, executor=executor)
    assert "has a kink" in found.slopes.note
    verdicts = {v.quantity: v for v in found.verdicts(within=0.5)}
    lost = {name for name, v in verdicts.items() if "kink" in v.reason}
    assert lost == {q.name for q in REGISTRY.quantities if q.shows and q.shows[0] in ("kl", "kl_rate")}
    joint = {name for name, v in verdicts.items() if "takes 48 networks" in v.reason}
    assert joint == {"data_information_joint", "bayes_nll_joint"}
    assert set(small[0].quantities()) - set(found.quantities()) == lost | joint
    assert np.isfinite([(r.finite, r.std_error) for r in found.rows]).all()
    assert [np.isnan(x.exponent) for x in found.exponents] == [True, True, False, False]
    for name in ("fisher_trace", "gibbs_nll"):
        assert verdicts[name].verdict is Verdict.AGREES, name
    power = {v.quantity: v.detectable for v in small[0].verdicts()}
    assert all(v.detectable > power[name] for name, v in verdicts.items() if v.widths)  # what few networks cost


def with_arrays(data, **arrays):
    """A data set as a user may make it, past the shapes that the tests check when it is made."""
    changed = copy(data)
    for name, value in arrays.items():
        object.__setattr__(changed, name, value)
    return changed


@pytest.mark.slow
def test_own_data_with_labels_as_a_vector_and_own_kernels(small):
    data = ntkinfo.gaussian_task(4, 12, x_dim=3, seed=0)
    flat = with_arrays(data, y_train=data.y_train[:, 0], y_test=data.y_test[:, 0])
    kernels = ntkinfo.kernels.dense(data.x_train, data.x_test, hidden_layers=1, activation="erf", w_std=1.2, b_std=0.3)
    other = replace(kernels, ntk=1.1**2 * kernels.ntk, omega=None, omega_test_train=None, omega_test=None)
    path = small[1]  # the networks are those of the small comparison
    again = deepnets.compare_with_infinite_width(flat, kernels=kernels, out=path, **SMALL)
    pd.testing.assert_frame_equal(again.to_frame(), small[0].to_frame())
    step = again.settings["step"]  # which by default follows the kernels
    found = deepnets.compare_with_infinite_width(flat, kernels=other, step=step, out=path, **SMALL)
    trace = {v.quantity: v for v in found.verdicts()}["fisher_trace"]
    assert trace.predicted == pytest.approx(1.21 * kernels.ntk.trace())
    assert trace.verdict is Verdict.DIFFERS
    assert "parameter_kl_infinite_width" not in found.quantities()  # no Ω


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.ones((4, 2))}, r"y_train has shape \(4, 2\), but the finite networks have one output"),
        ({"y_test": np.ones(5)}, r"y_test has shape \(5,\), but x_test of shape \(12, 3\) asks for"),
        ({"x_test": np.ones((12, 2))}, r"\(4, 3\) and \(12, 2\): they must have as many columns"),
        ({"x_train": np.ones((4, 2, 2))}, "flatten"),
        ({"x_train": np.full((4, 3), np.nan)}, "12 entries that are not finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(change, message):
    data = with_arrays(ntkinfo.gaussian_task(4, 12, x_dim=3, seed=0), **change)
    with pytest.raises(ValueError, match=message):
        deepnets.compare_with_infinite_width(data, **SMALL)


def test_labels_that_are_classes_have_their_own_decoder_in_the_plane_and_in_the_reasons(small):
    real = "label_information_unit_noise"
    rows = [replace(r, quantity="label_information_discrete") if r.quantity == real else r for r in small[0].rows]
    found = replace(small[0], rows=tuple(r for r in rows if not r.quantity.startswith("label_information_b")))
    stars = [
        [line.get_xydata()[0].tolist() for line in plotting.plot_finite_plane(one).lines if line.get_marker() == "*"]
        for one in (small[0], found)
    ]
    assert stars[0] == stars[1]
    reasons = [{v.quantity: v.reason for v in one.verdicts()} for one in (small[0], found)]
    assert reasons[0]["label_information_discrete"] == "the labels are real numbers"
    assert reasons[1][real] == reasons[1]["label_information_best_noise"] == "the labels are classes"


def test_finished_networks_are_not_trained_again(small, monkeypatch):
    found, path = small
    monkeypatch.setattr(samples, "gradient_flow", lambda *a, **k: pytest.fail("trained again"))
    again = deepnets.compare_with_infinite_width(out=path, **SMALL)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    with pytest.raises(ValueError, match=r"step: 0.03\d+ there, 0.1 now"):
        deepnets.compare_with_infinite_width(out=path, **{**SMALL, "step": 0.1})


def test_a_comparison_is_loaded_as_it_was_saved(small, tmp_path):
    found = small[0]
    found.save(tmp_path / "comparison.npz")
    again = Comparison.load(tmp_path / "comparison.npz")
    np.testing.assert_equal([asdict(row) for row in again.rows], [asdict(row) for row in found.rows])  # nan is nan
    np.testing.assert_equal([asdict(v) for v in again.verdicts()], [asdict(v) for v in found.verdicts()])
    assert [x.name for x in again.exponents] == [x.name for x in found.exponents]
    assert again.settings["step"] == found.settings["step"]


def test_tables_are_in_the_units_that_are_asked_for(small):
    bits, nats = (small[0].to_frame(units) for units in ("bits", "nats"))
    informations = nats.unit == "nats"
    assert set(bits.unit[informations]) == {"bits"}
    assert set(bits.unit) <= {"bits", "bits/tau", "1"}
    for name in ("infinite", "finite", "std_error", "step_error"):
        np.testing.assert_allclose(bits[name][informations] * np.log(2), nats[name][informations])
        np.testing.assert_array_equal(bits[name][nats.unit == "1"], nats[name][nats.unit == "1"])
    said = {v.quantity: v for v in small[0].verdicts()}["input_information"]
    assert f"predicted {said.predicted / np.log(2):.5g} bits" in said.describe()
    assert f"predicted {said.predicted:.5g} nats" in said.describe("nats")
    ratio = small[0].to_table("nats").predicted / small[0].to_table("bits").predicted
    np.testing.assert_allclose(ratio, np.where(small[0].to_table().unit == "1", 1.0, np.log(2)))


@pytest.mark.slow
def test_damaged_networks_are_trained_again(small, monkeypatch):
    found, path = small
    damaged = path / "flow_32_100.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    trained, original = [], samples.gradient_flow
    monkeypatch.setattr(samples, "gradient_flow", lambda *a, **k: trained.append(k["first"]) or original(*a, **k))
    again = deepnets.compare_with_infinite_width(out=path, **SMALL)
    assert trained == [100]
    np.testing.assert_equal([asdict(row) for row in again.rows], [asdict(row) for row in found.rows])  # nan is nan


@pytest.mark.slow
def test_an_interruption_stops_every_batch_and_loses_nothing_finished(small, tmp_path, monkeypatch):
    """Ctrl-C after the second batch: the others stop as well, and the same call ends with the same numbers."""
    found, path = small
    monkeypatch.setattr(compare, "predicted_slopes", lambda *a: Slopes())  # of no interest here, and seconds
    put, trained, original = samples.Store.put, [], samples.gradient_flow

    def interrupted(store, name, result):
        put(store, name, result)
        trained.append(name)
        if len(trained) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(samples.Store, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deepnets.compare_with_infinite_width(out=tmp_path, **SMALL)
    kept = {file.name for file in tmp_path.glob("*.npz")}
    assert kept == {f"{name}.npz" for name in trained}
    again = []
    monkeypatch.setattr(samples, "gradient_flow", lambda *a, **k: again.append(1) or original(*a, **k))
    assert deepnets.compare_with_infinite_width(out=tmp_path, **SMALL).rows == found.rows
    assert len(again) == len(list(path.glob("*_*_*.npz"))) - 2


def test_a_pilots_networks_are_the_first_of_the_long_run(small, monkeypatch):
    found, path = small
    monkeypatch.setattr(samples, "gradient_flow", lambda *a, **k: pytest.fail("trained again"))
    pilot = deepnets.compare_with_infinite_width(out=path, **{**SMALL, "replicas": 100})
    monkeypatch.setattr(compare, "start_law_sample", lambda *a, **k: pytest.fail("kernels that no verdict needs"))
    bare = deepnets.compare_with_infinite_width(out=path, **{**SMALL, "replicas": 100}, exponents=False)
    assert (bare.rows, bare.exponents, len(pilot.exponents)) == (pilot.rows, (), 4)
    assert pilot.plan().told(200) > 3
    ratio = pilot.to_table().std_error / found.to_table().std_error
    assert 1.0 < ratio.median() < 2.0


@pytest.mark.slow
def test_the_command_writes_a_report_with_every_quantity(small, tmp_path, capsys):
    """Of the networks of the small comparison, which are there: a pilot of the first hundred, and all of them."""
    shutil.copytree(small[1], tmp_path / "erf_1")
    options = "--depth 1 --widths 16 32 64 --replicas 200 --taus 0.8 --within 0.1"
    assert main(["compare", "--out", str(tmp_path), *options.split()]) == 0
    said, report = capsys.readouterr().out, (tmp_path / "report.md").read_text()
    for quantity in REGISTRY.quantities:
        assert f"`{quantity.name}`" in report
    assert "parameter_kl_infinite_width" in said
    assert said.index("from a pilot of 100 networks: to tell ±10 %") < said.index("would see")
    assert "4 training and 12 test points" in report
    assert report.count("agrees to within ±10 %") >= 8
    pictures = [line.split("(")[1].rstrip(")") for line in report.splitlines() if line.startswith("![")]
    assert len(pictures) > 25
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)
    loaded = Comparison.load(tmp_path / "erf_1.npz")
    assert loaded.rows == small[0].rows
    assert len(loaded.rows) == len(pd.read_csv(tmp_path / "erf_1.csv"))
    assert list(pd.read_csv(tmp_path / "erf_1_verdicts.csv").verdict) == list(loaded.to_table().verdict)


def test_the_command_takes_own_data(tmp_path, monkeypatch, capsys):
    data, seen = ntkinfo.gaussian_task(3, 5, x_dim=2, seed=1), []
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "own.npz", **{name: getattr(data, name) for name in names})

    def compared(dataset, **settings):
        seen.append((dataset, settings))
        raise ValueError("enough")

    monkeypatch.setattr("deepnets.commands.compare.compare_with_infinite_width", compared)
    options = f"--depth 3 --activation gelu --within 0.2 --data {tmp_path}/own.npz".split()
    assert main(["compare", "--out", str(tmp_path), *options]) == 2
    dataset, settings = seen[0]
    for name in names:
        assert sorted(getattr(dataset, name).ravel()) == sorted(getattr(data, name).ravel())
    assert (settings["hidden_layers"], settings["activation"], settings["within"]) == (3, "gelu", 0.2)
    assert "enough" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (64,)}, "two different"),
        ({"replicas": LEAST - 1}, "at least 10"),
        ({"within": 0.0}, "within"),
        ({"activation": "swish"}, "tanh"),
        ({"taus": (0.0,)}, "increase"),
    ],
)
def test_bad_settings_are_refused_before_the_training(change, message, monkeypatch):
    from deepnets.widths import flow

    monkeypatch.setattr(flow, "_compiled", lambda *a: pytest.fail("training has begun"))
    with pytest.raises(ValueError, match=message):
        deepnets.compare_with_infinite_width(**{**SMALL, **change})
