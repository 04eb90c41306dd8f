"""What all methods share: a state that advances by steps of one cost, for all replicas at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from deepnets.backend import jax
from deepnets.relaxation.energy import Patterns
from dualib.core.typing import Float

State = Any
"""Arrays with a leading axis of R replicas, in tuples."""

FORWARD, GRADIENT = 1.0, 3.0
"""Costs: a forward pass of all training patterns of a replica, and a gradient on them."""


class Walk(Protocol):
    """A method on its way: made for the replicas of one run at one snapshot."""

    def start(self) -> State:
        """The state at the start."""

    def advance(self, state: State, begin: int, end: int) -> State:
        """The state after the steps `begin` … `end` − 1, whose random numbers are functions of their numbers."""

    def vectors(self, state: State) -> Float[np.ndarray, "R P"]:
        """The parameters that count as the state's."""

    def cost(self, steps: int) -> float:
        """Of the first so many steps, in forward passes of the training patterns."""

    def counts(self, state: State) -> dict[str, np.ndarray]:
        """Counts to be kept with a snapshot, by name."""


def steps_within(walk: Walk, budget: float) -> int:
    """The most steps whose cost is within a budget."""
    low, high = 0, 1
    while walk.cost(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if walk.cost(middle) <= budget else (low, middle)
    return low


Step = Callable[[State, jax.Array, jax.Array, Patterns], State]
"""(state, key, number, patterns) → the next state of one replica."""


def compiled(step: Step) -> Callable[..., State]:
    """(state, keys, patterns, begin, end) → the state after those steps, of all replicas; compiled once for any number."""

    @jax.jit
    def advance(state: State, keys: jax.Array, patterns: Patterns, begin: jax.Array, end: jax.Array) -> State:
        def body(number: jax.Array, now: State) -> State:
            def one(mine: State, key: jax.Array, own: Patterns) -> State:
                return step(mine, jax.random.fold_in(key, number), number, own)

            return jax.vmap(one)(now, keys, patterns)

        return jax.lax.fori_loop(begin, end, body, state)

    return advance


def replica_keys(seed: int, replicas: int) -> jax.Array:
    """A random key a replica, which does not depend on how many there are."""
    return jax.vmap(lambda r: jax.random.fold_in(jax.random.key(seed), r))(np.arange(replicas))
