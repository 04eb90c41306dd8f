"""The measures of the black box on artificial data with a known answer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from papers.shwartz_ziv_tishby_2017.layers import weight_path as path_of_run
from papers.shwartz_ziv_tishby_2017.measures.batches import critical_batch, critical_size, transition_against_null
from papers.shwartz_ziv_tishby_2017.measures.bound import DELTA, compression_bound
from papers.shwartz_ziv_tishby_2017.measures.gradients import gradients
from papers.shwartz_ziv_tishby_2017.measures.representations import representations
from papers.shwartz_ziv_tishby_2017.measures.sides import sample_size
from papers.shwartz_ziv_tishby_2017.measures.weights import (
    alignment,
    random_like,
    similarities,
    similarity,
    symmetries,
    weight_path,
)

SHAPES = ((12, 10), (10, 7), (7, 5), (5, 2))


def networks(n, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, *shape)) for shape in SHAPES]


def test_units_that_are_renamed_and_turned_are_found_again():
    one = [layer[0] for layer in networks(1)]
    rng = np.random.default_rng(1)
    other, order, sign = [], np.arange(12), np.ones(12)
    for layer in one[:-1]:
        layer = (sign[:, None] * layer)[order]  # the units below, renamed
        order, sign = rng.permutation(layer.shape[1]), rng.choice([-1.0, 1.0], layer.shape[1])
        other.append((layer * sign)[:, order])
    assert similarity(one[:-1], other) == pytest.approx(1.0)
    assert similarity(one[:-1], [rng.normal(size=layer.shape) for layer in one[:-1]]) < 0.9


def test_chance_is_no_excess_and_a_common_direction_is_one():
    independent = networks(8)
    common = [layer + 1.5 for layer in independent]
    for layers, alike in ((independent, False), (common, True)):
        arrays = {f"weights_{i}": layer for i, layer in enumerate(layers)}
        found = alignment(arrays | {"accuracy": np.linspace(0.9, 0.91, 8)[:, None]})
        assert abs(found["alignment_excess"].value) < 0.05 or alike
        assert bool(found["alignment_excess"].low > 0.1) is alike
        assert found["spread_of_accuracy"].value < 0.01


def test_a_symmetry_of_the_task_is_found():
    layers = [layer[:1] for layer in networks(1)]
    turned = [
        np.concatenate([layers[0], layers[0][:, symmetries()[77]]]),
        *(np.repeat(a, 2, axis=0) for a in layers[1:]),
    ]
    assert similarities(turned)[0] < 0.95
    assert similarities(turned, symmetries())[0] == pytest.approx(1.0)
    assert [a.shape for a in random_like(layers)] == [a.shape for a in layers]


@pytest.mark.parametrize(("kind", "exponent", "cosine"), [("wiener", 1.0, 0.0), ("straight", 2.0, 1.0)])
def test_a_wiener_process_is_told_from_a_straight_path(kind, exponent, cosine):
    epochs = np.unique(np.round(np.geomspace(1, 3000, 60))).astype(int) - 1
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(3000, 4, 200)) if kind == "wiener" else np.ones((3000, 4, 200))
    walks = np.concatenate([np.zeros((1, 4, 200)), np.cumsum(steps, axis=0)])[epochs]
    run = SimpleNamespace(
        epochs=epochs,
        n_replicas=4,
        params=[{"w": walks.reshape(len(epochs), 4, 10, 20)}, {"w": np.zeros((len(epochs), 4, 1))}],
    )
    rate = np.tile(-np.abs(np.arange(len(epochs)) - 12.0), (4, 1))  # the change of phase is the thirteenth snapshot
    arrays = path_of_run(run, rate)
    assert np.isnan(arrays["displacement"][:, :13]).all()
    found = weight_path(arrays)
    assert found["wiener_exponent"].value == pytest.approx(exponent, abs=0.05)
    assert found["increments_cosine"].value == pytest.approx(cosine, abs=0.03)


def test_one_path_seen_at_several_batch_sizes_is_the_null():
    """SNR = √(B/256) g(updates): the transitions are those of the rescaled path, though they move with the batch."""
    size, epochs = np.array([64, 256, 1024]), np.unique(np.round(np.geomspace(1, 5001, 200))).astype(int) - 1

    def snr(b, extra=0.0):
        updates = np.maximum(epochs, 0.01) * 256 / b
        return np.sqrt(b / 256) * 10 * (updates * (b / 256) ** extra + 1) ** -0.6

    for extra in (0.0, 0.5):
        paths = np.array([np.tile(snr(b, extra), (3, 1)) for b in size])
        time = [np.interp(0.0, -np.log(snr(b, extra)), np.log1p(epochs)) for b in size]
        found = transition_against_null(
            {"batch_size": size, "epochs": epochs, "snr": paths, "transition": np.tile(np.expm1(time), (3, 1))}
        )
        assert found["transition_against_batch"].value == pytest.approx(1 / 1.2 - extra, abs=0.05)
        assert found["transition_over_null"].value == pytest.approx(-extra, abs=0.05)


def test_the_critical_batch_of_the_law_is_found():
    sizes, n, critical = np.array([32, 128, 512, 2048]), 3277.0, 200.0
    updates = 300 * (1 + critical / sizes)
    assert critical_size(sizes.astype(float), updates) == pytest.approx(critical)
    arrays = {"batch_size": sizes, "n_train": n}
    for b, needed in zip(sizes, updates, strict=True):
        epochs = np.linspace(0, 3 * needed * b / n, 40)
        loss = 0.7 - 0.4 * epochs / (needed * b / n)  # 0.3 after `needed` updates
        arrays |= {f"{b}_epochs": epochs, f"{b}_loss": np.stack([np.tile(loss, (3, 1)), np.full((3, 40), 0.6)])}
        arrays[f"{b}_noise_scale"] = np.full((3, 40), 20.0)
    found = critical_batch(arrays)
    assert found["critical_batch"].value == pytest.approx(np.log10(critical))
    assert found["critical_over_simple"].value == pytest.approx(1.0)


def test_a_gap_that_follows_the_bound_has_slope_one_and_keeps_it():
    rng = np.random.default_rng(0)
    arrays = {}
    for percent, m, bits in ((5, 205, 1.0), (20, 819, 2.0), (45, 1843, 3.0), (85, 3482, 4.0)):
        rate = bits + 0.2 * rng.normal(size=8)
        arrays[f"{percent}_input"] = np.repeat(rate, 3).reshape(8, 1, 3)
        arrays[f"{percent}_gap"] = np.sqrt(2**rate / (2 * m))[:, None]
        arrays[f"{percent}_n"] = np.array(m)
    found = compression_bound(arrays, "")
    assert DELTA == 0.05
    assert found["compression_slope"].value == pytest.approx(1.0)
    assert found["compression_slope_within"].value == pytest.approx(1.0)
    assert found["gap_within_bound"].value == 1.0
    assert found["bound_is_vacuous"].value == 0.0
    many = {k: v + 12 if "input" in k else v for k, v in arrays.items()}
    assert "gap_within_bound" not in compression_bound(many, "")  # a bound above 1 cannot be broken
    assert compression_bound(many, "")["bound_is_vacuous"].value == 1.0


def test_the_phase_in_which_the_sample_size_tells_more():
    rate = np.tile([1.0, 4.0, 2.0], (6, 1)) + 0.01 * np.arange(6)[:, None]
    noise = 0.01 * np.random.default_rng(0).normal(size=(6, 3))
    arrays = {}
    for percent, path in ((5, [0.0, 0.6, 0.4]), (85, [0.0, 0.65, 0.95])):
        arrays[f"{percent}_input"], arrays[f"{percent}_label"] = rate[:, :, None], (path + noise)[:, :, None]
    found = sample_size(arrays, "")
    assert found["second_over_first"].value == pytest.approx(0.5 - 0.05, abs=0.03)
    assert found["second_over_first"].low > 0.3
    assert found["lost_at_5"].value == pytest.approx(0.2, abs=0.02)
    assert found["lost_at_85"].value == pytest.approx(-0.3, abs=0.02)  # it still rises


def test_the_layers_that_decide_are_the_extreme_ones():
    epochs = np.array([0, 1, 10, 100, 500, 1000])
    log_snr = np.tile(np.array([0.5, 0.4, 0.3, -0.1, -0.4, -0.6])[:, None] + [0.0, -0.2, 0.1], (4, 1, 1))
    rate = np.tile([1.0, 2.0, 3.0, 2.5, 2.0, 1.0], (4, 1))[:, :, None]
    arrays = {"gradient_mean": 10**log_snr, "gradient_std": np.ones_like(log_snr), "epochs": epochs, "input": rate}
    found = gradients(arrays)
    assert found["snr_drift"].value == pytest.approx(0.45 - 0.2)  # the first two snapshots, the second layer
    assert found["snr_last_decade"].value == pytest.approx(-1.1 / 3 + 0.1)  # from 100 on, the third
    assert found["snr_decade_before"].value == pytest.approx(0.3 + 0.1)


def test_a_map_that_only_does_what_other_cells_do_changes_nothing():
    rng = np.random.default_rng(0)
    own = rng.normal(5, 1, size=(10, 2))
    arrays = {
        "separation": np.tile([0.5, 0.6, 0.8], (10, 1)),
        "separation_before": np.tile([0.5, 0.52, 0.55], (10, 1)) + 0.001 * rng.normal(size=(10, 1)),
        "map_own": own,
        "map_null": own + 0.3 * rng.choice([-1, 1], (10, 2)),
        "map_mapped": own + np.array([0.3, 1.0]) * rng.choice([-1, 1], (10, 2)),
        "map_distinct": np.tile([4096.0, 4096.0], (10, 1)),
    }
    found = representations(arrays)
    assert found["changed_by_map"].value == pytest.approx(0.0)
    assert found["changed_by_map_noise"].value == pytest.approx(0.7)
    assert found["patterns_merged_by_map"].high == 0.0
    assert found["separation_over_untrained"].value == pytest.approx(0.25)
    assert found["separation_grows"].value == 1.0
