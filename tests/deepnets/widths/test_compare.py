"""Finite against infinite: the statistics on made-up numbers, where the answer is known; a small comparison; the report."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import deepnets
from deepnets.__main__ import main
from deepnets.widths import compare
from deepnets.widths.agreement import Comparison, Verdict, straight_line
from deepnets.widths.exponents import bias_exponent
from deepnets.widths.finite import Row, jackknife
from dualib.core.quantity import Relation
from ntkinfo.quantities import REGISTRY

WIDTHS = (64, 128, 256, 512)


def made_up(limit, slope, predicted, error=0.01, relation=Relation.EXACT, seed=0, step=0.0, widths=WIDTHS, second=0.0):
    noise = np.random.default_rng(seed).normal(size=len(widths)) * error
    rows = [
        Row("q", 1.0, w, predicted, limit + slope / w + second / w**2 + e, error, relation, step_error=step)
        for w, e in zip(widths, noise, strict=True)
    ]
    return Comparison(tuple(rows), (), {})


@pytest.mark.parametrize("widths", [WIDTHS[:3], WIDTHS])
def test_extrapolation_has_the_error_it_says(widths):
    z = []
    for seed in range(300):
        a, error, p = made_up(2.0, 30.0, 2.0, seed=seed, widths=widths).extrapolated("q", 1.0)
        z.append((a - 2.0) / error)
        assert 0 <= p <= 1
    assert abs(np.mean(z)) < 4 / np.sqrt(300)
    if len(widths) == 3:
        assert abs(np.std(z) - 1) < 4 / np.sqrt(600)
    else:  # from four widths on the error of the line is added: of a true line, noise only
        assert 0.6 < np.std(z) < 1 + 4 / np.sqrt(600)


@pytest.mark.parametrize("second", [-4000.0, 4000.0])
def test_a_correction_of_second_order_does_not_refute(second):
    """1/width² is as large as 1/width at the narrowest; a line through all widths misses by many standard errors."""
    found = made_up(2.0, 60.0, 2.0, error=0.01, second=second)
    a, error, _ = found.extrapolated("q", 1.0)
    assert abs(a - 2.0) > 5 * straight_line(found.select("q")).error
    assert abs(a - 2.0) < 2 * error
    assert found.verdicts()[0].verdict is Verdict.AGREES
    assert made_up(2.0, 60.0, 3.0, error=0.01, second=second).verdicts()[0].verdict is Verdict.DIFFERS


def test_verdicts_follow_from_the_numbers():
    def verdict(**settings):
        return made_up(**settings).verdicts()[0].verdict

    assert verdict(limit=2.0, slope=30.0, predicted=2.0) is Verdict.AGREES
    assert verdict(limit=2.0, slope=30.0, predicted=2.2) is Verdict.DIFFERS
    assert verdict(limit=2.0, slope=30.0, predicted=2.2, step=0.2) is Verdict.AGREES
    assert verdict(limit=2.0, slope=0.0, predicted=2.2, relation=Relation.UPPER) is Verdict.HOLDS
    assert verdict(limit=2.0, slope=0.0, predicted=1.8, relation=Relation.UPPER) is Verdict.BROKEN
    assert verdict(limit=2.0, slope=0.0, predicted=1.8, relation=Relation.LOWER) is Verdict.HOLDS
    rate = np.mean([verdict(limit=2.0, slope=5.0, predicted=2.0, seed=s) is Verdict.DIFFERS for s in range(400)])
    assert rate < 0.02  # three standard errors


def test_widths_that_are_too_small_do_not_refute():
    def verdict(least, limit=2.2):
        found = made_up(limit=limit, slope=0.0, predicted=2.0)
        rows = tuple(replace(r, least_width=least) for r in found.rows)
        return replace(found, rows=rows).verdicts()[0]

    assert verdict(1000.0).verdict is Verdict.TOO_NARROW
    assert "widths above 1e+03" in verdict(1000.0).describe()
    assert verdict(500.0).verdict is Verdict.DIFFERS
    assert verdict(1000.0, limit=2.0).verdict is Verdict.AGREES


def test_every_quantity_is_compared_or_has_a_reason():
    verdicts = {v.quantity: v for v in made_up(1.0, 0.0, 1.0).verdicts()}
    assert set(verdicts) >= {q.name for q in REGISTRY.quantities}
    assert {Verdict.AGREES, Verdict.NOT_MEASURABLE} == {v.verdict for v in verdicts.values()}
    assert all(v.reason for v in verdicts.values() if v.verdict is Verdict.NOT_MEASURABLE)


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
    value, error = jackknife(lambda x: float(x.mean()), sample)
    assert value == pytest.approx(sample.mean(), abs=1e-12)
    assert error == pytest.approx(sample.std() / np.sqrt(1000), rel=0.5)
    samples = np.random.default_rng(1).normal(size=(300, 50))
    corrected = np.array([jackknife(lambda x: float(x.var()), x)[0] for x in samples])  # var is biased by 1/50
    assert abs(corrected.mean() - 1) < 4 * corrected.std() / np.sqrt(300)
    assert abs(samples.var(axis=1).mean() - 1) > 0.01


SMALL = {"widths": (16, 32, 64), "replicas": 200, "taus": (0.8,), "step": 0.05}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "flows"
    return deepnets.compare_with_infinite_width(out=path, **SMALL), path


def test_a_comparison_has_every_row_and_the_parameters_divergence_agrees(small):
    found, _ = small
    frame = found.to_frame()
    assert set(frame.width) == {16, 32, 64}
    assert (frame.std_error > 0).all()
    by_quantity = {v.quantity: v.verdict for v in found.verdicts()}
    agreeing = ("parameter_distance_squared", "fisher_trace", "degrees_of_freedom")
    for name in ("parameter_kl_infinite_width", "parameter_kl_infinite_width_rate", *agreeing):
        assert by_quantity[name] is Verdict.AGREES, name
    for name in ("path_length_lower", "path_length_upper", "path_length_upper_modes"):
        assert by_quantity[name] is Verdict.HOLDS, name
    assert by_quantity["parameter_kl"] is Verdict.DIFFERS  # linearised, of a nonlinear network
    fluctuation = found.exponents[2]
    assert fluctuation.low <= -0.4
    assert fluctuation.high >= -0.6


def test_a_kink_takes_the_parameters_divergence_and_the_powers_of_the_bias_and_nothing_else(small):
    found = deepnets.compare_with_infinite_width(**{**SMALL, "activation": "relu", "widths": (16, 32), "replicas": 100})
    verdicts = {v.quantity: v for v in found.verdicts()}
    lost = {name for name, v in verdicts.items() if "kink" in v.reason}
    assert lost == {q.name for q in REGISTRY.quantities if q.shows and q.shows[0] in ("kl", "kl_rate")}
    assert set(small[0].quantities()) - set(found.quantities()) == lost
    assert np.isfinite([(r.finite, r.std_error) for r in found.rows]).all()
    assert [np.isnan(x.exponent) for x in found.exponents] == [True, True, False, False]
    for name in ("parameter_distance_squared", "fisher_trace", "degrees_of_freedom"):
        assert verdicts[name].verdict is Verdict.AGREES, name


def test_finished_networks_are_not_trained_again(small, monkeypatch):
    found, path = small
    monkeypatch.setattr(compare, "gradient_flow", lambda *a, **k: pytest.fail("trained again"))
    again = deepnets.compare_with_infinite_width(out=path, **SMALL)
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    with pytest.raises(ValueError, match=r"step: 0.05 there, 0.1 now"):
        deepnets.compare_with_infinite_width(out=path, **{**SMALL, "step": 0.1})


def test_a_comparison_is_loaded_as_it_was_saved(small, tmp_path):
    found = small[0]
    found.save(tmp_path / "comparison.npz")
    again = Comparison.load(tmp_path / "comparison.npz")
    assert again.rows == found.rows
    assert again.verdicts() == found.verdicts()
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


def test_damaged_networks_are_trained_again(small, monkeypatch):
    found, path = small
    damaged = path / "flow_32_100.npz"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    trained, original = [], compare.gradient_flow
    monkeypatch.setattr(compare, "gradient_flow", lambda *a, **k: trained.append(k["first"]) or original(*a, **k))
    again = deepnets.compare_with_infinite_width(out=path, **SMALL)
    assert trained == [100]
    assert again.rows == found.rows


@pytest.mark.slow
def test_an_interruption_stops_every_width_and_loses_nothing_finished(small, tmp_path, monkeypatch):
    """Ctrl-C, here out of the progress bar: the other widths stop as well, and the same call ends with the same numbers."""
    called = []

    @contextmanager
    def interrupted(total, description, show=None):
        def update(count):
            called.append(count)
            if len(called) == 4:
                raise KeyboardInterrupt

        yield update

    with monkeypatch.context() as patch:
        patch.setattr(compare, "progress_bar", interrupted)
        with pytest.raises(KeyboardInterrupt):
            deepnets.compare_with_infinite_width(out=tmp_path, **SMALL)
    assert len(called) <= 6
    kept = list(tmp_path.glob("flow_*.npz"))
    assert kept
    assert deepnets.compare_with_infinite_width(out=tmp_path, **SMALL).rows == small[0].rows


def test_the_command_writes_a_report_with_every_quantity(tmp_path, capsys):
    options = "--depth 1 --widths 16 32 --replicas 200 --taus 0.8"
    command = ["compare", "--out", str(tmp_path), *options.split()]
    assert main(command) == 0
    said, report = capsys.readouterr().out, (tmp_path / "report.md").read_text()
    for quantity in REGISTRY.quantities:
        assert f"`{quantity.name}`" in report
    assert "parameter_kl_infinite_width" in said
    pictures = [line.split("(")[1].rstrip(")") for line in report.splitlines() if line.startswith("![")]
    assert len(pictures) > 25
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in pictures)
    assert len(Comparison.load(tmp_path / "erf_1.npz").rows) == len(pd.read_csv(tmp_path / "erf_1.csv"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (64,)}, "two different"),
        ({"replicas": 20}, "at least 100"),
        ({"activation": "swish"}, "tanh"),
        ({"taus": (0.0,)}, "increase"),
    ],
)
def test_bad_settings_are_refused_before_the_training(change, message, monkeypatch):
    from deepnets.widths import flow

    monkeypatch.setattr(flow, "_compiled", lambda *a: pytest.fail("training has begun"))
    with pytest.raises(ValueError, match=message):
        deepnets.compare_with_infinite_width(**{**SMALL, **change})
