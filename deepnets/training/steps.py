"""The compiled steps of training: functions of states, random keys and data, compiled once a network and optimiser."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.networks import Network

if TYPE_CHECKING:
    import optax


@lru_cache(maxsize=16)
def steps_of(network: Network, optimiser: str, learning_rate: float, orthonormality: float, loss: str) -> Steps:
    """The steps of these settings; asked for again, they are compiled already."""
    return Steps(network, _optimiser(optimiser, learning_rate), orthonormality, loss)


class Steps:
    """Compiled functions of a state (vectors (R, P), optimiser state, failed (R,)) and keys (R,).

    Attributes
    ----------
    start : keys → the state before the first epoch.
    epoch : (state, keys, x, y, patterns, weights, epoch) → the state after it, and its gradients' moments.
    scores : (vectors, trained, x, y) → loss and accuracy on training and test patterns, (R,) each.
    params : vectors → the parameters of all replicas, layer by layer.

    By squared error, y are targets (n, k), by cross-entropy labels (n,).
    """

    def __init__(
        self, network: Network, optimiser: optax.GradientTransformation, orthonormality: float, loss: str
    ) -> None:
        import jax
        from jax.flatten_util import ravel_pytree

        self._network, self._optimiser, self._orthonormality = network, optimiser, orthonormality
        self._losses = LOSSES[loss]
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        self._unravel = ravel_pytree(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes))[1]
        self.start = jax.jit(self._start)
        self.epoch = jax.jit(self._epoch)  # no donation: an interrupt must find the last state whole
        self.scores = jax.jit(jax.vmap(self._scores, (0, 0, None, None)))
        self.params = jax.jit(jax.vmap(self._unravel))

    def _start(self, keys: Any) -> Any:
        import jax
        import jax.numpy as jnp
        from jax.flatten_util import ravel_pytree

        def vector(key: Any) -> Any:
            return ravel_pytree(self._network.init(jax.random.fold_in(key, 0)))[0]

        vectors = jax.vmap(vector)(keys)
        return vectors, jax.vmap(self._optimiser.init)(vectors), jnp.full(len(keys), -1)

    def _epoch(self, state: Any, keys: Any, x: Any, y: Any, patterns: Any, weights: Any, epoch: Any) -> Any:
        import jax
        import jax.numpy as jnp

        keys = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, 1), epoch))(keys)

        def step(carry: Any, batch: Any) -> Any:
            vectors, inner, loss, mean, square = carry
            chosen, weight, share, index = batch
            one = jax.vmap(self._step, in_axes=(0, 0, None, None, 0, None, 0, None))
            vectors, inner, value, gradient = one(vectors, inner, x, y, chosen, weight, keys, index)
            return (vectors, inner, loss + value, mean + share * gradient, square + share * gradient**2), None

        vectors, inner, failed = state
        none = jnp.zeros_like(vectors)
        carry = (vectors, inner, none[:, 0], none, none)
        shares = ((weights > 0).sum(axis=1) / (weights > 0).sum()).astype(weights.dtype)
        batches = (patterns, weights, shares, jnp.arange(len(weights)))
        (vectors, inner, loss, mean, square), _ = jax.lax.scan(step, carry, batches)
        broken = ~jnp.isfinite(loss) | ~jnp.isfinite(vectors).all(axis=1)
        gradients = [jax.vmap(self._layer_sums)(moment) for moment in (mean**2, square)]
        return (vectors, inner, jnp.where((failed < 0) & broken, epoch + 1, failed)), gradients

    def _step(
        self, vector: Any, inner: Any, x: Any, y: Any, chosen: Any, weight: Any, key: Any, index: Any
    ) -> tuple[Any, ...]:
        import jax

        network = self._network
        noise, drop = jax.random.split(jax.random.fold_in(key, index)) if network.random_in_training else (None, None)

        def loss(at: Any) -> Any:
            outputs = network.columns(self._unravel(at), x[chosen].T, noise, drop)[-1]
            return (self._losses(outputs, y[chosen]) * weight).sum()

        value, gradient = jax.value_and_grad(loss)(vector)
        update, inner = self._optimiser.update(gradient, inner, vector)
        return self._orthonormalised(vector + update), inner, value, gradient

    def _orthonormalised(self, vector: Any) -> Any:
        """One step W ← W - α(WWᵀ - I)W of each hidden layer's W = wᵀ."""
        from jax.flatten_util import ravel_pytree

        alpha = self._orthonormality
        if alpha == 0:
            return vector
        *hidden, readout = self._unravel(vector)
        for layer in hidden:
            w = layer["w"]
            layer["w"] = w - alpha * (w @ (w.T @ w) - w)
        return ravel_pytree([*hidden, readout])[0]

    def _layer_sums(self, vector: Any) -> Any:
        """The sum over each layer's weights, shape (L,)."""
        import jax.numpy as jnp

        return jnp.stack([layer["w"].sum() for layer in self._unravel(vector)])

    def _scores(self, vector: Any, trained: Any, x: Any, y: Any) -> Any:
        """Loss and accuracy, without noise, on the training and on the test patterns."""
        import jax.numpy as jnp

        outputs = self._network.columns(self._unravel(vector), x.T)[-1]
        loss, right = self._losses(outputs, y), hits(outputs, y).astype(outputs.dtype)
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


def squared_errors(outputs: Any, y: Any) -> Any:
    """Squared difference of each column of outputs (k, n) from its target, of targets (n, k): means over k, shape (n,)."""
    return ((outputs.T - y) ** 2).mean(axis=1)


def hits(outputs: Any, y: Any) -> Any:
    """Whether the class of each column of outputs (k, n) is that of its label (n,) or target (n, k): shape (n,)."""
    if y.ndim == 1:
        return outputs.argmax(axis=0) == y
    if y.shape[1] == 1:
        return (outputs[0] > 0) == (y[:, 0] > 0)
    return outputs.argmax(axis=0) == y.argmax(axis=1)


LOSSES = {"cross-entropy": cross_entropies, "mse": squared_errors}
"""What is minimised, by its name in :func:`deepnets.train`."""


def _optimiser(name: str, learning_rate: float) -> optax.GradientTransformation:
    import optax

    if name == "adam":
        return optax.adam(learning_rate)
    return optax.sgd(learning_rate, momentum=0.9 if name == "momentum" else None)
