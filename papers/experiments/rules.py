r"""Other rules of the icosahedral kind, for claims that are about all tasks and were shown on one.

With the power spectrum of a pattern x on the vertices v_i, which the 120 symmetries leave as it is,

.. math:: P_l(x) = \sum_{ij} x_i x_j\, \mathcal P_l(v_i \cdot v_j) \ge 0 \quad (\mathcal P_l: \text{Legendre}), \qquad
          f(x) = \sum_{l=0}^3 a_l \sqrt{P_l(x)},

the paper's rule is a = (1, 1, 0, 0): the number of ones and the norm of their dipole. A random rule has weights
a_l = |normal|, and its threshold parts the 4096 patterns as evenly as its symmetry allows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.special import eval_legendre

import deepnets
from deepnets.tasks.task import Task, one_hot
from deepnets.training.orders import splits
from dualib.core.typing import Float
from dualib.examples import icosahedral_score
from papers.experiments.loops import follow

DEGREES = range(4)  # v_i·v_j takes four values, so that higher degrees add nothing


@lru_cache(maxsize=1)
def invariants() -> Float[np.ndarray, "4096 4"]:
    """√P_l of the 4096 patterns, l = 0 … 3."""
    bit = 1 << np.arange(11, -1, -1)
    pair_norm = icosahedral_score()[bit[:, None] | bit] - 2.0  # ‖v_i + v_j‖ off the diagonal
    cosines = np.where(np.eye(12, dtype=bool), 1.0, pair_norm**2 / 2 - 1)
    x = deepnets.icosahedral_task().x
    power = np.stack([((x @ eval_legendre(degree, cosines)) * x).sum(axis=1) for degree in DEGREES], axis=1)
    return np.asarray(np.sqrt(np.maximum(power, 0.0)))


def random_rule(seed: int = 0) -> Task:
    """A task of a random rule; its settings say of which."""
    weights = np.abs(np.random.default_rng([seed, 120]).normal(size=len(DEGREES)))
    score = np.round(invariants() @ weights, 6)  # what symmetry makes equal is equal
    values, counts = np.unique(score, return_counts=True)
    cut = int(np.abs(np.cumsum(counts) - score.size / 2).argmin())
    y = (score > values[cut]).astype(np.int64)
    task = deepnets.icosahedral_task()
    settings: dict[str, object] = {"task": "random icosahedral", "rule": seed}
    return Task("random icosahedral", task.x, y, one_hot(y, 2), settings=settings)


def train_rules(network: deepnets.Network, training: deepnets.Training) -> list[deepnets.Run]:
    """Replicas of a network, each trained on a random rule of its own; a run of one replica a rule.

    The replicas are trained side by side on one task, whose patterns are those of all the rules one after another.
    """
    tasks = [random_rule(1000 * training.seed + k) for k in range(training.replicas)]
    n = tasks[0].n
    x, y = np.tile(tasks[0].x, (len(tasks), 1)), np.concatenate([task.y for task in tasks])
    everything = Task("random rules", x, y, one_hot(y, 2))
    own = splits(training, n)
    run = follow(network, everything, training, own + n * np.arange(len(tasks))[:, None])
    found = []
    for k, task in enumerate(tasks):
        params = [{kind: layer[kind][:, k : k + 1] for kind in ("w", "b")} for layer in run.params]
        scores = {name: values[:, k : k + 1] for name, values in run.scores.items()}
        single = replace(
            run,
            task=task,
            training=replace(training, replicas=1),
            train_patterns=own[k : k + 1],
            params=params,
            scores=scores,
            failed=run.failed[k : k + 1],
        )
        held_out = np.setdiff1d(np.arange(n), own[k])
        outputs = [single.activations(s, 0)[-1][held_out] for s in range(len(run.epochs))]
        right = [float((output.argmax(axis=1) == task.y[held_out]).mean()) for output in outputs]
        nothing = np.full((len(run.epochs), 1), np.nan)  # a loss on the test patterns is not computed
        found.append(replace(single, scores=scores | {"test_loss": nothing, "test_accuracy": np.array(right)[:, None]}))
    return found
