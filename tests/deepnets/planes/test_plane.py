"""The information plane as data and as figures: tables, units, files, and the numbers that are drawn."""

import numpy as np
import pytest

from deepnets import plotting
from deepnets.planes.plane import InformationPlane

LN2 = np.log(2)


@pytest.fixture
def plane():
    rng = np.random.default_rng(0)
    shape = (4, 3, 2)
    value, label = rng.random(shape) + 1, rng.random(shape)
    return InformationPlane(
        epochs=np.array([0, 10, 1000]),
        replicas=np.array([2, 3, 5, 7]),
        input=value,
        input_low=value - 0.1,
        input_high=value + 0.1,
        label=label,
        label_low=label - 0.1,
        label_high=label + 0.1,
        accuracy=rng.random(shape[:2]),
        layers=("5", "3"),
        entropy_x=3.0,
        information_xy=1.0,
        method="binning",
        warnings={"deterministic": 24},
        settings={"seed": 0},
    )


def test_table_has_a_row_an_estimate_and_bits_are_nats_over_log_2(plane):
    nats, bits = plane.to_frame("nats"), plane.to_frame("bits")
    assert len(nats) == 4 * 3 * 2
    for name in ("i_xt", "i_ty_low", "i_xt_high"):
        np.testing.assert_allclose(bits[f"{name}_bits"], nats[f"{name}_nats"] / LN2)
    row = nats[(nats.replica == 5) & (nats.epoch == 10) & (nats.layer == "3")]
    assert row.i_ty_nats.item() == plane.label[2, 1, 1]
    assert row.accuracy.item() == plane.accuracy[2, 1]


def test_summary_is_the_quartiles(plane):
    table = plane.summary("bits", epochs=[0, 900])
    assert list(table.epoch) == [0, 0, 1000, 1000]
    expected = np.quantile(plane.input[:, 2, 1], [0.25, 0.5, 0.75]) / LN2
    row = table.iloc[3]
    np.testing.assert_allclose([row.i_xt_q25_bits, row.i_xt_bits, row.i_xt_q75_bits], expected)


def test_nearest_snapshot_is_nearest_on_a_logarithmic_scale(plane):
    assert [plane.at(e) for e in (0, 1, 9, 90, 200, 10**6)] == [0, 0, 1, 1, 2, 2]


def test_rises_from_a_layer_to_the_next_are_counted(plane):
    rises = [(plane.input[r, s, 1] > plane.input[r, s, 0]) or (plane.label[r, s, 1] > plane.label[r, s, 0])
             for r in range(4) for s in range(3)]  # fmt: skip
    np.testing.assert_allclose(plane.processing_violations(), [np.mean(rises)])


def test_save_and_load(plane, tmp_path):
    plane.save(tmp_path / "plane.npz")
    again = InformationPlane.load(tmp_path / "plane.npz")
    np.testing.assert_array_equal(again.input, plane.input)
    assert (again.layers, again.warnings, again.settings) == (plane.layers, plane.warnings, plane.settings)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="not an information plane"):
        InformationPlane.load(tmp_path / "other.npz")


def test_figures_draw_the_medians_in_bits(plane):
    ax = plotting.plot_plane(plane)
    drawn = ax.collections[2].get_offsets()  # the second layer, after the first and its legend entry
    np.testing.assert_allclose(drawn[:, 0], np.median(plane.input, axis=0)[:, 1] / LN2)
    np.testing.assert_allclose(drawn[:, 1], np.median(plane.label, axis=0)[:, 1] / LN2)
    assert "[bits]" in ax.get_xlabel()
    figure = plotting.plot_snapshots(plane, (0, 1000), units="nats")
    np.testing.assert_allclose(figure.axes[1].collections[0].get_offsets()[:, 0], plane.input[:, 2, 0])
    figure = plotting.plot_against_epochs(plane)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), np.median(plane.input, axis=0)[:, 0] / LN2)
    titles = [ax.get_title() for ax in plotting.plot_planes({"5%": plane, "85%": plane}).axes]
    assert titles[:2] == ["5%", "85%"]
    with pytest.raises(ValueError, match="at least one plane"):
        plotting.plot_planes({})
