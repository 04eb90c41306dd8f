"""When layers compress, on curves that are known; rules and loops of the papers against the packages' own."""

from __future__ import annotations

import numpy as np
import pytest

import deepnets
from deepnets.training.orders import splits
from dualib.core.statistics import LEVEL, mean
from dualib.core.units import Unit
from dualib.examples import icosahedral_score
from papers.experiments.loops import follow
from papers.experiments.phases import LEAST, extreme_layer, has_two_phases, length_of_compression, passage_epoch
from papers.experiments.rules import invariants, random_rule, train_rules
from papers.shwartz_ziv_tishby_2017.measures.weights import symmetries

EPOCHS = np.array([0, 9, 99, 999])  # log10(1 + epoch) = 0, 1, 2, 3
SMALL = deepnets.Network((12, 3, 2))


def test_a_passage_lies_between_snapshots_in_log_time():
    rows = np.array([[2.0, 5.0, 3.0, 1.0], [0.0, 4.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.1, 0.2, 0.0]])
    assert passage_epoch(EPOCHS, rows[:2], 0.5) == pytest.approx([99, 10 ** (5 / 3) - 1])
    assert passage_epoch(EPOCHS, rows[:1], 0.1) == pytest.approx([10**1.2 - 1])  # 0.4 of the first 2 bits
    assert passage_epoch(EPOCHS, rows[:1], 1.0) == pytest.approx([999])
    assert np.isnan(passage_epoch(EPOCHS, rows[2:], 0.5)).all()  # no fall, and one below LEAST
    assert length_of_compression(EPOCHS, rows[:1]) == pytest.approx(np.log10([99 - (10**1.2 - 1)]))


def test_two_phases_need_a_fit_and_a_compression():
    rate = np.array([[1.0, 4.0, 3.0], [1.0, 4.0, 3.9], [1.0, 4.0, 3.0], [4.0, 3.0, 1.0]])
    relevance = np.array([[0.0, 0.6, 0.6], [0.0, 0.6, 0.6], [0.0, 0.1, 0.9], [0.0, 0.6, 0.6]])
    assert LEAST == 0.25
    np.testing.assert_array_equal(has_two_phases(rate, relevance), [True, False, False, False])


def test_the_extreme_layer_holds_for_all_layers_at_once():
    values = np.random.default_rng(0).normal(size=(20, 6)) + np.arange(6)
    for least, layer in ((True, 0), (False, 5)):
        found = extreme_layer(values, least=least)
        alone = mean(values[:, layer], Unit.LOG10)
        assert found.value == alone.value
        assert found.level == pytest.approx(1 - (1 - LEVEL) / 6)
        assert found.high - found.low > alone.high - alone.low


def test_the_papers_rule_is_one_of_the_family():
    np.testing.assert_allclose(invariants()[:, :2].sum(axis=1), icosahedral_score(), atol=1e-12)


def test_rules_keep_the_120_symmetries_and_split_the_patterns():
    maps, bits = symmetries(), 1 << np.arange(11, -1, -1)
    assert maps.shape == (120, 12)
    assert len(np.unique(maps, axis=0)) == 120
    seen = set()
    for seed in range(4):
        task = random_rule(seed)
        assert 0.4 < task.y.mean() < 0.6
        seen.add(task.y.tobytes())
        for one in maps[::17]:
            moved = task.x[:, one].astype(int) @ bits
            np.testing.assert_array_equal(task.y[moved], task.y)
    assert len(seen) == 4
    np.testing.assert_array_equal(random_rule(3).y, random_rule(3).y)


def test_following_is_training():
    """On the patterns and from the start that `train` draws, to the same bits."""
    task = deepnets.icosahedral_task()
    training = deepnets.Training(3, 2, snapshots=3, train_fraction=0.1, batch_size=64, seed=5)
    expected = deepnets.train(SMALL, task, training, progress=False)
    for start in (None, expected.parameters(0)):
        found = follow(SMALL, task, training, splits(training, task.n), start)
        np.testing.assert_array_equal(found.epochs, expected.epochs)
        for a, b in zip(found.params, expected.params, strict=True):
            np.testing.assert_array_equal(a["w"], b["w"])
        np.testing.assert_array_equal(found.scores["test_loss"], expected.scores["test_loss"])


def test_a_replica_of_rules_is_one_trained_on_its_rule_alone():
    training = deepnets.Training(2, 2, snapshots=2, train_fraction=0.1, batch_size=64, seed=1)
    for k, run in enumerate(train_rules(SMALL, training)):
        alone = deepnets.train(SMALL, random_rule(1000 + k), training, progress=False)
        np.testing.assert_array_equal(run.train_patterns[0], alone.train_patterns[k])
        np.testing.assert_allclose(run.params[0]["w"][:, 0], alone.params[0]["w"][:, k], rtol=1e-5, atol=1e-7)
        for name in ("train_accuracy", "test_accuracy"):
            np.testing.assert_allclose(run.scores[name][:, 0], alone.scores[name][:, k], atol=1e-6)
