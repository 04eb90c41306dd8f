"""An estimate keeps its interval, promise and unit; results survive being taken apart."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest

from dualib.core.estimate import Estimate, Estimates, Kind
from dualib.core.quantity import Quantity, Registry, Relation, needs, takes
from dualib.core.result import Result
from dualib.core.units import NATS_PER_BIT, Unit, conversion, to_units


@dataclass(frozen=True, eq=False)
class Inner(Result):
    values: np.ndarray
    kind: Kind


@dataclass(frozen=True, eq=False)
class Outer(Result):
    rate: np.ndarray
    inner: Inner | None
    parts: tuple[Inner, ...]
    named: dict[str, np.ndarray]
    estimate: Estimate
    note: str
    level: float | None
    flags: np.ndarray
    scratch: int = field(default=0, metadata={"stored": False})

    def __post_init__(self):
        if self.rate.ndim != 1:
            raise ValueError(f"rate has {self.rate.ndim} axes, not one")


def outer():
    inner = Inner(np.arange(3.0), Kind.PROVEN)
    return Outer(
        np.array([0.0, np.inf, -1.5]),
        None,
        (inner, dataclasses.replace(inner, kind=Kind.EXACT)),
        {"a b": np.eye(2)},
        Estimate(1.0, 0.5, np.inf, Kind.STATISTICAL, Unit.LOG10, 0.95, 7, "mean", ("few",)),
        "Übung",
        None,
        np.array([True, False]),
        scratch=9,
    )


def test_a_result_survives_a_file(tmp_path):
    one = outer()
    one.save(tmp_path / "one.npz")
    other = Outer.load(tmp_path / "one.npz")
    np.testing.assert_array_equal(other.rate, one.rate)
    np.testing.assert_array_equal(other.flags, one.flags)
    np.testing.assert_array_equal(other.named["a b"], np.eye(2))
    assert other.estimate == one.estimate
    assert [p.kind for p in other.parts] == [Kind.PROVEN, Kind.EXACT]
    assert other.parts[0].kind is Kind.PROVEN
    assert (other.inner, other.note, other.level, other.scratch) == (None, "Übung", None, 0)


def test_what_is_long_is_printed_by_its_size():
    fits, too_long = repr(outer()), repr(dataclasses.replace(outer(), rate=np.linspace(0, 1, 50), note="x" * 80))
    assert "rate=array([ 0. ,  inf, -1.5])" in fits
    assert "note='Übung'" in fits
    assert "parts=tuple[2]" in fits
    assert "rate=float64[50]" in too_long
    assert "note=str[80]" in too_long
    assert len(too_long) < 600


def test_what_is_loaded_is_checked_again(tmp_path):
    arrays = outer().to_arrays()
    with pytest.raises(ValueError, match="2 axes"):
        Outer.from_arrays(arrays | {"rate": np.eye(2)})
    with pytest.raises(ValueError, match="'rate' is missing"):
        Outer.from_arrays({k: v for k, v in arrays.items() if k != "rate"})
    with pytest.raises(ValueError, match="saved Outer, not a Inner"):
        Inner.from_arrays(arrays)
    with pytest.raises(ValueError, match="no entry 'record'"):
        Outer.from_arrays({"rate": np.eye(2)})
    path = tmp_path / "half.npz"
    outer().save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"half\.npz"):
        Outer.load(path)
    with pytest.raises(ValueError, match="no file"):
        Outer.load(tmp_path / "none.npz")


def test_a_saved_enumeration_must_be_one_of_the_house():
    arrays = outer().to_arrays()
    text = str(arrays["record"]).replace("dualib.core.estimate:Kind", "subprocess:Popen")
    with pytest.raises(ValueError, match="subprocess"):
        Outer.from_arrays(arrays | {"record": np.array(text)})


def test_bits_and_nats_convert_and_nothing_else():
    estimate = Estimate(NATS_PER_BIT, 0.0, 2 * NATS_PER_BIT, Kind.PROVEN)
    bits = estimate.to(Unit.BITS)
    assert (bits.value, bits.low, bits.high) == pytest.approx((1.0, 0.0, 2.0), abs=1e-15)
    back = bits.to(Unit.NATS)
    assert back.value == pytest.approx(estimate.value, rel=1e-15)
    assert estimate.to_record("I", "bits")["I [bits]"] == pytest.approx(1.0)
    for of, to in ((Unit.EPOCHS, Unit.BITS), (Unit.NATS, Unit.NATS_PER_TAU), (Unit.ONE, Unit.NATS)):
        with pytest.raises(ValueError, match="no value in"):
            conversion(of, to)
    assert Estimate(3.0, 3.0, 3.0, Kind.EXACT, Unit.EPOCHS).shown_in("bits").unit is Unit.EPOCHS
    assert Unit.NATS_PER_TAU.shown_in("bits") is Unit.BITS_PER_TAU
    with pytest.raises(ValueError, match="units must be"):
        to_units(1.0, "digits")


@pytest.mark.parametrize("numbers", [(2.0, 0.0, 1.0), (np.nan, 0.0, 1.0), (0.5, np.nan, 1.0)])
def test_a_value_outside_its_interval_is_refused(numbers):
    with pytest.raises(ValueError, match="interval"):
        Estimate(*numbers, Kind.PROVEN)


def test_estimates_index_to_estimates_and_keep_absent_ones():
    low = np.array([[0.0, np.nan], [1.0, 2.0]])
    many = Estimates(low + 0.5, low, low + 1, Kind.PROVEN, Unit.BITS, method="m")
    assert many[1, 0] == Estimate(1.5, 1.0, 2.0, Kind.PROVEN, Unit.BITS, method="m")
    assert many[1].shape == (2,)
    assert many.to(Unit.NATS)[1, 1].value == pytest.approx(2.5 * NATS_PER_BIT)
    with pytest.raises(ValueError, match=r"first at \(1, 0\)"):
        Estimates(low + 2 * (low == 1), low, low + 1, Kind.PROVEN)
    again = Estimates.of([many[1, 0], many[1, 1]])
    np.testing.assert_array_equal(again.value, many.value[1])
    with pytest.raises(ValueError, match="several kinds"):
        Estimates.of([many[1, 0], many[1, 0].to(Unit.NATS)])


def test_a_quantity_has_one_name():
    registry = Registry()

    @registry.register("I(Z;X)", Unit.NATS, Relation.EXACT, of="I(Z;X|D) of the points", source="derived here")
    def input_information(law):
        return law

    assert registry["input_information"].symbol == "I(Z;X)"
    assert registry.function("input_information")(3) == 3
    with pytest.raises(ValueError, match="two quantities"):
        registry.register("", Unit.ONE, Relation.EXACT, of="", source="")(input_information)
    with pytest.raises(ValueError, match="no quantity 'other'"):
        registry["other"]


def test_a_quantity_is_saved_with_its_conditions_and_its_function_says_what_it_needs(tmp_path):
    registry = Registry()

    @registry.register(
        "q", Unit.ONE, Relation.UPPER, of="", source="", only=[Kind.EXACT, Kind.PROVEN], group=Kind.PROVEN
    )
    def quantity(law, y, noise=1.0):
        return law, y, noise

    record = registry["quantity"]
    record.save(tmp_path / "q.npz")
    assert Quantity.load(tmp_path / "q.npz") == record
    assert record.only == {Kind.EXACT, Kind.PROVEN}
    assert needs(quantity) == ("law", "y")
    assert takes(quantity) == ("law", "y", "noise")
