"""The compiled steps of training, and the random numbers they use: functions of (seed, replica, epoch) alone.

A replica's parameters are one packed vector, so that an optimiser's step is a few operations on one array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.networks import Network
from deepnets.runs import EPOCH_GRADIENTS, SCORES
from deepnets.tasks import Task

if TYPE_CHECKING:
    import optax

Observe = Callable[[int, list[dict[str, np.ndarray]]], Mapping[str, Any]]

SPLIT, ORDER = 1, 2  # purposes of random streams


@dataclass(frozen=True)
class Plan:
    """Checked settings of a training."""

    network: Network
    task: Task
    replicas: int
    epochs: int
    optimiser: str
    learning_rate: float
    batch_size: int | None
    train_fraction: float
    snapshots: tuple[int, ...]
    seed: int
    orthonormality: float

    @property
    def n_train(self) -> int:
        return max(1, round(self.train_fraction * self.task.n))

    def settings(self) -> dict[str, Any]:
        return {
            "network": self.network.settings(),
            "task": self.task.settings,
            "task_digest": self.task.digest(),
            "replicas": self.replicas,
            "epochs": self.epochs,
            "optimiser": self.optimiser,
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "train_fraction": self.train_fraction,
            "snapshots": list(self.snapshots),
            "seed": self.seed,
            "orthonormality": self.orthonormality,
        }


# --- random numbers: functions of (seed, replica, purpose, epoch) ---


def permutation(seed: int, replica: int, purpose: int, epoch: int, n: int) -> np.ndarray:
    stream = np.random.Philox(key=[seed, replica], counter=[0, 0, purpose, epoch])
    return np.random.Generator(stream).permutation(n)


def splits(plan: Plan) -> np.ndarray:
    """The training patterns of each replica, shape (R, n_train)."""
    return np.stack([permutation(plan.seed, r, SPLIT, 0, plan.task.n)[: plan.n_train] for r in range(plan.replicas)])


def batches(plan: Plan, train_patterns: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Patterns (batches, R, size) of one epoch in its order, and their weights (batches, size), each batch's summing to 1.

    The last batch is filled up with patterns of weight 0.
    """
    n, size = plan.n_train, plan.batch_size or plan.n_train
    count = -(-n // size)
    if count == 1:
        order = train_patterns
    else:
        order = np.stack([row[permutation(plan.seed, r, ORDER, epoch, n)] for r, row in enumerate(train_patterns)])
    padded = np.concatenate([order, order[:, : count * size - n]], axis=1)
    weights = (np.arange(count * size) < n).reshape(count, size).astype(plan.network.dtype)
    return (
        padded.reshape(plan.replicas, count, size).transpose(1, 0, 2).astype(np.int32),
        weights / weights.sum(axis=1, keepdims=True),
    )


class Machine:
    """The compiled steps of a plan. A state is (vectors (R, P), optimiser state, failed (R,))."""

    def __init__(self, plan: Plan, train_patterns: np.ndarray) -> None:
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree

        self.plan, self.train_patterns = plan, train_patterns
        network, task = plan.network, plan.task
        self.optimiser = _optimiser(plan)
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(plan.seed)))(jnp.arange(plan.replicas))
        self.keys = self._place(keys)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        self._unravel = ravel_pytree(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes))[1]
        self.x = jnp.asarray(task.x, network.dtype)
        self.y = jnp.asarray(task.y)
        trained = np.zeros((plan.replicas, task.n), bool)
        np.put_along_axis(trained, train_patterns, True, axis=1)
        self.trained = self._place(trained)
        self._epoch = jax.jit(self._epoch_fn)  # no donation: an interrupt must find the last state whole
        self._scores = jax.jit(jax.vmap(self._scores_of))
        layers = len(network.widths) - 1
        self._gradients: Any = [np.full((plan.replicas, layers), np.nan)] * len(EPOCH_GRADIENTS)  # of the last epoch

    def _place(self, array: Any) -> Any:
        """Spread the leading axis, the replicas, over as many devices as divide them."""
        import jax
        from jax.sharding import NamedSharding, PartitionSpec

        devices = jax.devices()
        count = max(d for d in range(1, len(devices) + 1) if self.plan.replicas % d == 0)
        if count == 1:
            return jax.numpy.asarray(array)
        mesh = jax.sharding.Mesh(np.array(devices[:count]), ("replicas",))
        return jax.device_put(array, NamedSharding(mesh, PartitionSpec("replicas")))

    # --- states ---

    def start(self) -> Any:
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree

        def vector(key: Any) -> Any:
            return ravel_pytree(self.plan.network.init(jax.random.fold_in(key, 0)))[0]

        vectors = jax.jit(jax.vmap(vector))(self.keys)
        state = (vectors, jax.jit(jax.vmap(self.optimiser.init))(vectors), jnp.full(self.plan.replicas, -1))
        return jax.tree.map(self._place, state)

    def leaves(self, state: Any) -> list[np.ndarray]:
        import jax

        return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]

    def restore(self, leaves: list[np.ndarray]) -> Any:
        import jax

        like, structure = jax.tree.flatten(self.start())
        if [a.shape for a in like] != [a.shape for a in leaves]:
            raise ValueError("the checkpoint's arrays do not fit these settings: it was written by another version")
        return jax.tree.unflatten(structure, [self._place(leaf) for leaf in leaves])

    def failed(self, state: Any) -> np.ndarray:
        return np.asarray(state[2])

    # --- one epoch ---

    def epoch(self, state: Any, epoch: int) -> Any:
        patterns, weights = batches(self.plan, self.train_patterns, epoch)
        state, self._gradients = self._epoch(state, self._place_batches(patterns), weights, epoch)
        return state

    def _place_batches(self, patterns: np.ndarray) -> Any:
        """(batches, R, size) with the replicas where their states are."""
        import jax
        from jax.sharding import NamedSharding, PartitionSpec

        sharding = getattr(self.keys, "sharding", None)
        if isinstance(sharding, NamedSharding):
            return jax.device_put(patterns, NamedSharding(sharding.mesh, PartitionSpec(None, "replicas")))
        return patterns

    def _epoch_fn(self, state: Any, patterns: Any, weights: Any, epoch: Any) -> Any:
        import jax
        import jax.numpy as jnp

        keys = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, 1), epoch))(self.keys)

        def step(carry: Any, batch: Any) -> Any:
            vectors, inner, loss, mean, square = carry
            chosen, weight, share, index = batch
            one = jax.vmap(self._step, in_axes=(0, 0, 0, None, 0, None))
            vectors, inner, value, gradient = one(vectors, inner, chosen, weight, keys, index)
            return (vectors, inner, loss + value, mean + share * gradient, square + share * gradient**2), None

        vectors, inner, failed = state
        none = jnp.zeros_like(vectors)
        carry = (vectors, inner, none[:, 0], none, none)
        shares = (weights > 0).sum(axis=1) / jnp.asarray(self.plan.n_train, weights.dtype)
        batches = (patterns, weights, shares, jnp.arange(len(weights)))
        (vectors, inner, loss, mean, square), _ = jax.lax.scan(step, carry, batches)
        broken = ~jnp.isfinite(loss) | ~jnp.isfinite(vectors).all(axis=1)
        gradients = [jax.vmap(self._layer_sums)(moment) for moment in (mean**2, square)]
        return (vectors, inner, jnp.where((failed < 0) & broken, epoch + 1, failed)), gradients

    def _layer_sums(self, vector: Any) -> Any:
        """The sum over each layer's weights, shape (L,)."""
        import jax.numpy as jnp

        return jnp.stack([layer["w"].sum() for layer in self._unravel(vector)])

    def _step(self, vector: Any, inner: Any, chosen: Any, weight: Any, key: Any, index: Any) -> Any:
        import jax

        x, y = self.x[chosen].T, self.y[chosen]
        network = self.plan.network
        noise, drop = jax.random.split(jax.random.fold_in(key, index)) if network.random_in_training else (None, None)
        value, gradient = jax.value_and_grad(self._loss)(vector, x, y, weight, noise, drop)
        update, inner = self.optimiser.update(gradient, inner, vector)
        vector = vector + update
        return self._orthonormalised(vector), inner, value, gradient

    def _loss(self, vector: Any, x: Any, y: Any, weight: Any, noise: Any, drop: Any) -> Any:
        return (cross_entropies(self.plan.network.columns(self._unravel(vector), x, noise, drop)[-1], y) * weight).sum()

    def _orthonormalised(self, vector: Any) -> Any:
        """One step W ← W - α(WWᵀ - I)W of each hidden layer's W = wᵀ."""
        from jax.flatten_util import ravel_pytree

        alpha = self.plan.orthonormality
        if alpha == 0:
            return vector
        params = self._unravel(vector)
        hidden = [{**layer, "w": layer["w"] - alpha * (layer["w"] @ (layer["w"].T @ layer["w"]) - layer["w"])}
                  for layer in params[:-1]]  # fmt: skip
        return ravel_pytree([*hidden, params[-1]])[0]

    # --- snapshots ---

    def snapshot(self, state: Any, epoch: int, observe: Observe | None) -> dict[str, np.ndarray]:
        import jax

        params = jax.tree.map(np.asarray, jax.vmap(self._unravel)(state[0]))
        scores = self._scores(state[0], self.trained)
        arrays = {name: np.asarray(value, np.float64) for name, value in zip(SCORES, scores, strict=True)}
        gradients = zip(EPOCH_GRADIENTS, self._gradients, strict=True)
        arrays |= {name: np.asarray(value, np.float64) for name, value in gradients}
        for i, layer in enumerate(params):
            arrays |= {f"{kind}{i}": layer[kind] for kind in ("w", "b")}
        if observe is not None:
            arrays |= {f"observed_{name}": np.asarray(value) for name, value in observe(epoch, params).items()}
        return arrays

    def _scores_of(self, vector: Any, trained: Any) -> Any:
        """Loss and accuracy, without noise, on the training and on the test patterns."""
        import jax.numpy as jnp

        outputs = self.plan.network.columns(self._unravel(vector), self.x.T)[-1]
        loss, right = cross_entropies(outputs, self.y), (outputs.argmax(axis=0) == self.y).astype(outputs.dtype)
        values = [
            jnp.where(where, value, 0).sum() / where.sum()  # 0/0, NaN, without test patterns
            for where in (trained, ~trained)
            for value in (loss, right)
        ]
        finite = jnp.isfinite(loss).all()
        return [jnp.where(finite, value, jnp.nan) for value in values]


def cross_entropies(outputs: Any, y: Any) -> Any:
    """-log softmax(outputs)[y] of each column of outputs (k, n), in nats, shape (n,)."""
    import jax
    import jax.numpy as jnp

    return jax.nn.logsumexp(outputs, axis=0) - jnp.take_along_axis(outputs, y[None], axis=0)[0]


def _optimiser(plan: Plan) -> optax.GradientTransformation:
    import optax

    if plan.optimiser == "adam":
        return optax.adam(plan.learning_rate)
    return optax.sgd(plan.learning_rate, momentum=0.9 if plan.optimiser == "momentum" else None)
