"""The compiled steps of variational fits: all seeds and β at once (vmap), any number of steps at a time."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import optax

from deepnets.backend import jax, jnp
from deepnets.variational.families import DTYPE, Params, init
from deepnets.variational.losses import parts_of
from deepnets.variational.objectives import Distortion, RateTerm
from deepnets.variational.settings import VariationalSettings

START, BATCH, DRAWS = 0, 1, 2  # purposes of random keys


class Data(NamedTuple):
    """What S seeds are trained on.

    Attributes
    ----------
    inputs : array, shape (n, d), or (n,) of tables
    trained : array of int, shape (S, n_train)
        The patterns of each seed.
    log_rows : array, shape (S, n_train, k)
        Log p̃(y|x) of these.
    weights : array, shape (S, n_train)
        Of these, summing to 1.
    """

    inputs: jax.Array
    trained: jax.Array
    log_rows: jax.Array
    weights: jax.Array


class State(NamedTuple):
    """Fits in training, all arrays with leading axes (S, B): parameters and what the optimiser remembers."""

    params: Params
    inner: optax.OptState


@lru_cache(maxsize=16)
def steps_of(rate: RateTerm, distortion: Distortion, settings: VariationalSettings) -> Steps:
    """The steps of these settings; asked for again, they are compiled already."""
    return Steps(rate, distortion, settings)


class Steps:
    """Start and steps."""

    def __init__(self, rate: RateTerm, distortion: Distortion, settings: VariationalSettings) -> None:
        self.settings, self.rate = settings, rate
        self.optimiser = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))
        self._parts = parts_of(rate, distortion, settings)
        self._advance = jax.jit(self._advanced)

    def keys(self) -> jax.Array:
        """A random key a seed, whatever their number."""
        base = jax.random.key(self.settings.seed)
        return jax.vmap(partial(jax.random.fold_in, base))(jnp.arange(self.settings.seeds))

    def start(self, data: Data, n_betas: int) -> State:
        """The state before the first step: of one seed the same at every β."""
        n, k = len(data.inputs), data.log_rows.shape[-1]
        x_dim = data.inputs.shape[1] if data.inputs.ndim > 1 else 0

        def one(key: jax.Array) -> Params:
            return init(jax.random.fold_in(key, START), self.settings, self.rate, n, x_dim, k)

        params = jax.tree.map(lambda a: jnp.repeat(a[:, None], n_betas, axis=1), jax.vmap(one)(self.keys()))
        return State(params, jax.vmap(jax.vmap(self.optimiser.init))(params))

    def advance(self, state: State, data: Data, betas: jax.Array, step: int, count: int) -> State:
        """The state `count` steps after step number `step`."""
        return State(*self._advance(state, self.keys(), data, betas, step, step + count))

    def _advanced(
        self, state: State, keys: jax.Array, data: Data, betas: jax.Array, step: jax.Array, end: jax.Array
    ) -> State:
        per_beta = jax.vmap(self._step, (None, 0, 0, None, None, None, None, None))
        per_seed = jax.vmap(per_beta, (None, 0, None, 0, None, 0, 0, 0))

        def one_step(number: jax.Array, state: State) -> State:
            return per_seed(number, state, betas, keys, data.inputs, data.trained, data.log_rows, data.weights)

        advanced: State = jax.lax.fori_loop(step, end, one_step, state)  # of any length by one compilation
        return advanced

    def _step(
        self,
        number: jax.Array,
        state: State,
        beta: jax.Array,
        key: jax.Array,
        inputs: jax.Array,
        trained: jax.Array,
        log_rows: jax.Array,
        weights: jax.Array,
    ) -> State:
        key, size, n = jax.random.fold_in(key, number), self.settings.batch_size, len(trained)
        if size is not None and size < n and not self.settings.tabular:
            chosen = jax.random.randint(jax.random.fold_in(key, BATCH), (size,), 0, n)
            trained, log_rows, weights = trained[chosen], log_rows[chosen], weights[chosen] * (n / size)
        if self.settings.annealed:
            done = jnp.minimum(1.0, 2 * number / self.settings.steps).astype(DTYPE)
            beta = beta * 0.1 ** (1 - done)

        def loss(params: Params) -> jax.Array:
            rate, distortion = self._parts(params, inputs[trained], log_rows, weights, jax.random.fold_in(key, DRAWS))
            return (rate + beta * distortion) / jnp.maximum(1.0, beta)

        updates, inner = self.optimiser.update(jax.grad(loss)(state.params), state.inner, state.params)
        return State(optax.apply_updates(state.params, updates), inner)
