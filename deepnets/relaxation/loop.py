"""Relaxing a run: a method made for its replicas, advanced in pieces, recorded, and resumable to the same bits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.recordings.run import EPOCH_GRADIENTS, SCORES, Run, assemble, run_settings
from deepnets.recordings.run_files import CHECKPOINT, RunFiles, RunMemory
from deepnets.relaxation.descent import DescentWalk, TargetsWalk
from deepnets.relaxation.energy import packed, training_patterns
from deepnets.relaxation.kicks import KickWalk
from deepnets.relaxation.langevin import LangevinWalk
from deepnets.relaxation.methods import (
    OF_SGD,
    BottleneckTargets,
    ContinueTraining,
    KickAndProject,
    Langevin,
    Method,
    Metropolis,
    Noise,
    method_settings,
)
from deepnets.relaxation.metropolis import MetropolisWalk
from deepnets.relaxation.relaxed import Relaxation
from deepnets.relaxation.starts import default_snapshot, largest_curvature, sgd_temperature
from deepnets.relaxation.walk import GRADIENT, State, Walk, steps_within
from deepnets.training.losses import trained_on
from deepnets.training.steps import steps_of
from dualib.core.arrays import positive, whole
from dualib.core.progress import progress_bar
from dualib.core.typing import ArrayLike, Float, Int

TRACE = 200
"""About so many points at which loss and accuracy are looked at on the way."""
CHECKPOINT_SECONDS = 30.0
RECORD = (0.0, 0.1, 0.3, 1.0)


def relax(
    run: Run,
    method: Method,
    *,
    snapshot: int | None = None,
    budget: float,
    seed: int = 0,
    record: Sequence[float] = RECORD,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> Relaxation:
    r"""Relax the replicas of a run from a snapshot on, instead of training them further.

    Cost is counted in forward passes of a replica's training patterns: a proposal is 1, a gradient of all of them or an epoch of
    minibatches 3, an iteration of targets 1. What is only looked at is free.

    Parameters
    ----------
    run : Run
        Deterministic networks without dropout.
    method : ContinueTraining, Metropolis, Langevin, KickAndProject or BottleneckTargets
    snapshot : int or None
        An index into ``run.epochs``; None takes the first at which the last layer's gradients are past their transition in the
        median replica, at least epoch 500.
    budget : float
        Cost that may be spent a replica.
    seed : int
        Seed of the chains. A replica does not depend on how many there are.
    record : sequence of float
        Shares of the budget at which parameters are kept; 0 and 1 are added.
    out : path or None
        A directory. An interrupted relaxation is taken up where it was left, to the same bits, by the same call. It is read by
        ``Relaxation.load``, and by all that reads a training.
    progress : bool or None

    Returns
    -------
    Relaxation

    Raises
    ------
    ValueError
        If the networks are noisy, the budget is too small for the records, a step of Langevin's equation or of descent is not
        stable at the start (both numbers are given), or the directory holds something else; before any step.

    Examples
    --------
    >>> run = deepnets.train(network, task, epochs=300)  # doctest: +SKIP
    >>> found = deepnets.relax(run, deepnets.relaxation.Metropolis(), budget=1000)  # doctest: +SKIP
    >>> found.trace["train_loss"]  # doctest: +SKIP

    References
    ----------
    [shwartzziv2017]_ section 4, which announces relaxation and defines none; [metropolis1953]_
    """
    _check(run, method)
    chosen = default_snapshot(run, seed) if snapshot is None else _index(snapshot, len(run.epochs))
    walk = _walk(run, chosen, method, positive(budget, "budget"), whole(seed, "seed"), progress)
    plan = _Plan.of(walk, budget, record, int(run.epochs[chosen]))
    settings = _settings(run, chosen, method, plan, seed)
    place = RunMemory(run.train_patterns) if out is None else RunFiles.begin(out, settings, run.train_patterns)
    _Relaxing(run, chosen, walk, plan, place, progress).go()
    failed = np.where(run.failed <= run.epochs[chosen], run.failed, -1)
    found = assemble(run.network, run.task, settings, place, plan.epochs.tolist(), failed)
    return Relaxation.of(found, settings)


def _check(run: Run, method: Method) -> None:
    if not isinstance(method, Method):
        raise ValueError(f"method must be one of {', '.join(m.__name__ for m in Method.__args__)}, got {method!r}")
    if run.network.random_in_training and not isinstance(method, ContinueTraining):
        raise ValueError(
            f"{method.name} needs a loss that is a function of the parameters; that of a noisy network, or one with dropout, is "
            "random: relax its deterministic twin, or continue its training"
        )
    if run.training.orthonormality and isinstance(method, BottleneckTargets):
        raise ValueError("targets are not defined for training with orthonormality > 0")


def _index(snapshot: int, count: int) -> int:
    if not -count <= snapshot < count:
        raise ValueError(f"snapshot must be an index into the {count} snapshots, got {snapshot}")
    return snapshot % count


def _walk(run: Run, snapshot: int, method: Method, budget: float, seed: int, progress: bool | None) -> Walk:
    """The method, made for the run's replicas."""
    if isinstance(method, ContinueTraining):
        return DescentWalk(run, snapshot, method, progress)
    if isinstance(method, BottleneckTargets):
        return TargetsWalk(run, snapshot, method, seed, progress)
    about = (run.network, run.loss, jnp.asarray(packed(run, snapshot)), training_patterns(run))
    if isinstance(method, Metropolis):
        return MetropolisWalk(*about, method, budget, seed)
    if isinstance(method, Langevin) and method.noise is Noise.MINIBATCH and run.training.batch_size is None:
        raise ValueError("a run of full batches has no minibatches to take noise from: use isotropic noise")
    step = _stable_steps(run, snapshot, method.step)
    if isinstance(method, KickAndProject):
        return KickWalk(*about, method, step, seed)
    temperature = (
        sgd_temperature(run, snapshot, method.sgd_learning_rate)
        if method.temperature == OF_SGD
        else np.full(run.n_replicas, float(method.temperature))
    )
    return LangevinWalk(*about, method, step, temperature, run.training.batch_size or run.train_patterns.shape[1], seed)


def _stable_steps(run: Run, snapshot: int, step: float | None) -> Float[np.ndarray, " R"]:
    """A step for every replica, below 2/λ_max of its loss."""
    curvature = largest_curvature(run, snapshot)
    if step is None:
        return np.asarray(1 / curvature)
    if step * curvature.max() >= 2:
        worst = int(curvature.argmax())
        raise ValueError(
            f"step = {step:g} is not stable: the largest curvature of replica {worst} is {curvature[worst]:.4g}, and steps must "
            f"be below 2/{curvature[worst]:.4g} = {2 / curvature[worst]:.3g}; None takes half of that"
        )
    return np.full(len(curvature), float(step))


@dataclass(frozen=True)
class _Plan:
    """After which steps there is a record, and after which a look.

    Attributes
    ----------
    records, epochs : int arrays
        Steps, and the epochs they stand for.
    looks : int array
        Steps of the trace; the records are among them.
    """

    records: Int[np.ndarray, " S"]
    epochs: Int[np.ndarray, " S"]
    looks: Int[np.ndarray, " T"]
    budget: float

    @classmethod
    def of(cls, walk: Walk, budget: float, record: ArrayLike, first: int) -> _Plan:
        shares = np.unique(np.r_[0.0, np.asarray(record, np.float64).ravel(), 1.0])
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError(f"record must hold shares of the budget, between 0 and 1, got {list(np.ravel(record))}")
        records = np.array([steps_within(walk, share * budget) for share in shares])
        epochs = first + np.array([round(walk.cost(int(s)) / GRADIENT) for s in records])
        if len(np.unique(epochs)) < len(epochs):
            raise ValueError(
                f"a budget of {budget:g} forward passes is too small for records at {', '.join(f'{s:g}' for s in shares)} of it: "
                "they must be an epoch's cost, 3, apart. Give a larger budget, or fewer records"
            )
        looks = np.unique(np.r_[np.linspace(0, records[-1], TRACE).astype(int), records])
        return cls(records, epochs, looks, float(budget))


def _settings(run: Run, snapshot: int, method: Method, plan: _Plan, seed: int) -> dict[str, Any]:
    start = hashlib.sha256(packed(run, snapshot).tobytes()).hexdigest()[:16]
    training = replace(run.training, epochs=int(plan.epochs[-1]), snapshots=tuple(map(int, plan.epochs)))
    about = run_settings(run.network, run.task, training)
    relaxation = {
        "method": method_settings(method),
        "epoch": int(run.epochs[snapshot]),
        "start": start,
        "budget": plan.budget,
        "steps": plan.records.tolist(),
        "seed": seed,
    }
    return {**about, "snapshots": plan.epochs.tolist(), "relaxation": relaxation}


class _Relaxing:
    """A relaxation between its walk and its files."""

    def __init__(
        self, run: Run, snapshot: int, walk: Walk, plan: _Plan, place: RunFiles | RunMemory, progress: bool | None
    ) -> None:
        self.run, self.walk, self.plan, self.place, self.progress = run, walk, plan, place, progress
        network, training = run.network, run.training
        self._steps = steps_of(
            network, training.optimiser, training.learning_rate, training.orthonormality, training.loss
        )
        trained = np.zeros((run.n_replicas, run.task.n), bool)
        np.put_along_axis(trained, run.train_patterns, True, axis=1)
        self._scored = (
            trained,
            jnp.asarray(run.task.x, network.dtype),
            jnp.asarray(trained_on(run.task, run.loss, network.dtype)),
        )
        self._failed = run.failed
        self._cost = np.array([walk.cost(int(look)) for look in plan.looks])

    def go(self) -> None:
        """From the last checkpoint, or the start, to the end."""
        plan, saved = self.plan, self.place.checkpoint(CHECKPOINT)
        begun = 0 if saved is None else int(saved[1][0])
        if saved is not None and begun == plan.looks[-1] and not self.place.damaged(plan.epochs.tolist()):
            return
        if saved is None or self.place.damaged(plan.epochs[plan.records <= begun].tolist()):
            state, begun = self.walk.start(), 0
            trace = np.full((len(SCORES), self.run.n_replicas, len(plan.looks)), np.nan)
        else:
            trace, state = saved[1][1], self._restored(saved[1][2:-1])
        done_before = int(np.searchsorted(plan.looks, begun))
        last_saved = monotonic()
        with progress_bar(len(plan.looks), "relaxation", self.progress, initial=done_before) as bar:
            for i in range(done_before, len(plan.looks)):
                look = int(plan.looks[i])
                if look > begun:
                    state, begun = self.walk.advance(state, begun, look), look
                trace[:, :, i] = self._scores(state)
                if look in plan.records:
                    self.place.write_snapshot(
                        int(plan.epochs[plan.records == look][0]), self._snapshot(state, trace, i)
                    )
                if look in plan.records or monotonic() - last_saved > CHECKPOINT_SECONDS:
                    self._keep(state, look, trace)
                    last_saved = monotonic()
                bar(1)

    def _scores(self, state: State) -> np.ndarray:
        vectors = jnp.asarray(self.walk.vectors(state))
        return np.stack([np.asarray(s, np.float64) for s in self._steps.scores(vectors, *self._scored)])

    def _snapshot(self, state: State, trace: np.ndarray, i: int) -> dict[str, np.ndarray]:
        params = self._steps.params(jnp.asarray(self.walk.vectors(state)))
        arrays = {name: trace[k, :, i] for k, name in enumerate(SCORES)}
        arrays |= dict.fromkeys(EPOCH_GRADIENTS, np.full((self.run.n_replicas, len(params)), np.nan))
        for j, layer in enumerate(params):
            arrays |= {f"{kind}{j}": np.asarray(layer[kind]) for kind in ("w", "b")}
        seen = {
            "cost": np.array(self._cost[i]),
            "trace_cost": self._cost,
            "trace": trace.copy(),
            **self.walk.counts(state),
        }
        return arrays | {f"observed_{name}": value for name, value in seen.items()}

    def _keep(self, state: State, step: int, trace: np.ndarray) -> None:
        """The checkpoint: epoch of the last record, and everything to go on from."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        reached = int(self.plan.epochs[self.plan.records <= step][-1])
        self.place.write_checkpoint(CHECKPOINT, reached, [np.array(step), trace, *leaves, self._failed])

    def _restored(self, leaves: list[np.ndarray]) -> State:
        """The inverse of what :meth:`_keep` took apart."""
        like = (
            jax.eval_shape(self.walk.start)
            if not isinstance(self.walk, DescentWalk | TargetsWalk)
            else self.walk.start()
        )
        return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(leaf) for leaf in leaves])
