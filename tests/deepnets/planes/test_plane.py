"""The information plane as data and as figures: tables, units, files, and the numbers that are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from deepnets import plotting
from deepnets.estimators import Kind
from deepnets.planes import InformationPlane
from dualib.core.estimate import Estimates

LN2 = np.log(2)


@pytest.fixture
def plane():
    rng = np.random.default_rng(0)
    shape = (4, 3, 2)
    value, label = rng.random(shape) + 1, rng.random(shape)
    return InformationPlane(
        epochs=np.array([0, 10, 1000]),
        replicas=np.array([2, 3, 5, 7]),
        rate=Estimates(value, value - 0.1, value + 0.1, Kind.PROVEN, method="binning"),
        relevance=Estimates(label, label - 0.1, label + 0.1, Kind.PROVEN),
        accuracy=rng.random(shape[:2]),
        layers=("5", "3"),
        entropy_x=3.0,
        information_xy=1.0,
        warnings={"deterministic": 24},
        settings={"seed": 0},
    )


def test_table_has_a_row_an_estimate_and_bits_are_nats_over_log_2(plane):
    nats, bits = plane.to_frame("nats"), plane.to_frame("bits")
    assert len(nats) == 4 * 3 * 2
    for name in ("rate", "relevance_low", "rate_high"):
        np.testing.assert_allclose(bits[f"{name}_bits"], nats[f"{name}_nats"] / LN2)
    row = nats[(nats.replica == 5) & (nats.epoch == 10) & (nats.layer == "3")]
    assert row.relevance_nats.item() == plane.relevance.value[2, 1, 1]
    assert row.accuracy.item() == plane.accuracy[2, 1]


def test_summary_is_the_quartiles(plane):
    table = plane.summary("bits", epochs=[0, 900])
    assert list(table.epoch) == [0, 0, 1000, 1000]
    expected = np.quantile(plane.rate.value[:, 2, 1], [0.25, 0.5, 0.75]) / LN2
    row = table.iloc[3]
    np.testing.assert_allclose([row.rate_q25_bits, row.rate_bits, row.rate_q75_bits], expected)


def test_summary_of_one_replica_is_the_estimators_interval(plane):
    one = replace(
        plane,
        replicas=plane.replicas[:1],
        rate=plane.rate[:1],
        relevance=plane.relevance[:1],
        accuracy=plane.accuracy[:1],
    )
    row = one.summary("nats", epochs=[900]).iloc[1]
    value = plane.rate.value[0, 2, 1]
    np.testing.assert_allclose(
        [row.rate_low_nats, row.rate_nats, row.rate_high_nats], [value - 0.1, value, value + 0.1]
    )
    assert "rate_q25_nats" not in row
    assert "accuracy" in row
    assert "accuracy" not in replace(one, accuracy=np.full_like(one.accuracy, np.nan)).summary()


def test_epochs_of_one_snapshot_are_one_panel(plane):
    titles = [ax.get_title() for ax in plotting.plot_snapshots(plane, [0, 400, 9000]).axes]
    assert titles == ["epoch 0", "epoch 1000"]


def test_no_point_lies_outside_the_axes(plane):
    beyond = replace(plane, entropy_x=0.5 * float(plane.rate.value.max()))  # as of a small sample of a population
    assert plotting.plot_replicas(beyond, 1000).get_xlim()[1] > plane.rate.value.max() / LN2


def test_shapes_that_do_not_fit_are_printed(plane):
    with pytest.raises(ValueError, match=r"shape \(4, 3, 2\).* got \(3, 3, 2\)"):
        replace(plane, rate=plane.rate[1:])


def test_nearest_snapshot_is_nearest_on_a_logarithmic_scale(plane):
    assert [plane.at(e) for e in (0, 1, 9, 90, 200, 10**6)] == [0, 0, 1, 1, 2, 2]


def test_rises_from_a_layer_to_the_next_are_counted(plane):
    rises = [
        (plane.rate.value[r, s, 1] > plane.rate.value[r, s, 0])
        or (plane.relevance.value[r, s, 1] > plane.relevance.value[r, s, 0])
        for r in range(4)
        for s in range(3)
    ]
    np.testing.assert_allclose(plane.processing_violations(), [np.mean(rises)])


def test_save_and_load(plane, tmp_path):
    plane.save(tmp_path / "plane.npz")
    again = InformationPlane.load(tmp_path / "plane.npz")
    np.testing.assert_array_equal(again.rate.value, plane.rate.value)
    assert (again.layers, again.warnings, again.settings) == (plane.layers, plane.warnings, plane.settings)
    assert (again.rate.kind, again.method) == (Kind.PROVEN, "binning")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="no saved InformationPlane"):
        InformationPlane.load(tmp_path / "other.npz")


def test_figures_draw_the_medians_in_bits(plane):
    ax = plotting.plot_plane(plane)
    drawn = ax.collections[1].get_offsets()  # the second layer
    np.testing.assert_allclose(drawn[:, 0], np.median(plane.rate.value, axis=0)[:, 1] / LN2)
    np.testing.assert_allclose(drawn[:, 1], np.median(plane.relevance.value, axis=0)[:, 1] / LN2)
    assert "[bits]" in ax.get_xlabel()
    figure = plotting.plot_snapshots(plane, (0, 1000), units="nats")
    np.testing.assert_allclose(figure.axes[1].collections[0].get_offsets()[:, 0], plane.rate.value[:, 2, 0])
    figure = plotting.plot_against_epochs(plane)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), np.median(plane.rate.value, axis=0)[:, 0] / LN2)
    ends = [found.get_ydata() for found in figure.axes[0].lines if found.get_linestyle() == ":"]
    np.testing.assert_allclose(ends[:2], np.median([plane.rate.low, plane.rate.high], axis=1)[:, :, 0] / LN2)
    assert "dotted: the estimator's interval" in figure.get_suptitle()
    path = plane.plane_paths()[1]
    np.testing.assert_array_equal(path.within[0], np.median([plane.rate.low, plane.rate.high], axis=1)[:, :, 1].T)
    titles = [ax.get_title() for ax in plotting.plot_planes({"5%": plane, "85%": plane}).axes]
    assert titles[:2] == ["5%", "85%"]
    with pytest.raises(ValueError, match="at least one plane"):
        plotting.plot_planes({})
