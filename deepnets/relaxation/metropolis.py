"""Metropolis chains over the parameters of a network, one layer a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.relaxation.energy import LossAt, Patterns, loss_on, losses_at, packing
from deepnets.relaxation.methods import NEUTRAL, Law, Metropolis
from deepnets.relaxation.walk import FORWARD, compiled, replica_keys
from deepnets.training.settings import Loss

WANTED = 0.3  # acceptance
ADAPTED_ON, LEAST_EACH, AT_MOST = 0.1, 200, 0.5  # of the budget; proposals a layer; of the budget
START = 0.1  # of a layer's root mean square


class Chain(NamedTuple):
    """R replicas of a chain.

    Attributes
    ----------
    vector, loss : arrays, shapes (R, P) and (R,)
    width : array, shape (R, L)
        log s_l of the proposals.
    tried : array, shape (R, L)
        Proposals while the widths were adapted.
    proposed, accepted : arrays, shape (R, L)
        Since the widths were frozen.
    ceiling, prior : arrays, shape (R,)
        ε and λ.
    """

    vector: jax.Array
    loss: jax.Array
    width: jax.Array
    tried: jax.Array
    proposed: jax.Array
    accepted: jax.Array
    ceiling: jax.Array
    prior: jax.Array


def move(
    chain: Chain, key: jax.Array, adapting: jax.Array, loss: LossAt, method: Metropolis, layer: jax.Array, n: int
) -> Chain:
    """One proposal and its acceptance, of one replica (no axis R), with its loss on n patterns."""
    which, change, chance = jax.random.split(key, 3)
    layers = chain.width.shape[0]
    chosen = jax.random.randint(which, (), 0, layers)
    scale = jnp.exp(chain.width[chosen]).astype(chain.vector.dtype)
    noise = jax.random.normal(change, chain.vector.shape, chain.vector.dtype)
    proposal = chain.vector + jnp.where(layer == chosen, scale * noise, 0)
    new = loss(proposal)
    wide, wider = (jnp.sum(v.astype(jnp.float64) ** 2) for v in (chain.vector, proposal))
    log_ratio = -chain.prior * (wider - wide) / 2
    log_chance = jnp.log(jax.random.uniform(chance, (), jnp.float64))
    if method.kind is Law.CONSTRAINED:
        accept = (new <= chain.ceiling) & (log_chance < log_ratio)
    elif method.kind is Law.GIBBS:
        accept = log_chance < log_ratio - method.kappa * n * (new - chain.loss)
    else:
        accept = new <= chain.loss
    # [robbins1951]_: the acceptance of each layer goes to WANTED with steps that fall as their number grows.
    gain = 2.0 / (1.0 + chain.tried[chosen]) ** 0.6
    width = chain.width.at[chosen].add(jnp.where(adapting, gain * (accept - WANTED), 0.0))
    # Random search has no law to be kept: it adapts to the end, and all its steps count.
    counted = ~adapting | (method.kind is Law.GREEDY)
    return chain._replace(
        vector=jnp.where(accept, proposal, chain.vector),
        loss=jnp.where(accept, new, chain.loss),
        width=width,
        tried=chain.tried.at[chosen].add(adapting.astype(int)),
        proposed=chain.proposed.at[chosen].add(counted.astype(int)),
        accepted=chain.accepted.at[chosen].add((counted & accept).astype(int)),
    )


def start_chain(vectors: jax.Array, losses: jax.Array, layer: np.ndarray, method: Metropolis) -> Chain:
    """The chains at their start: ε is the loss there, and λ the method's."""
    layers = int(layer.max()) + 1
    squares = jnp.stack([(vectors[:, layer == i].astype(jnp.float64) ** 2).mean(axis=1) for i in range(layers)], axis=1)
    width = jnp.log(START * jnp.sqrt(jnp.where(squares > 0, squares, 1.0)))
    norms = (vectors.astype(jnp.float64) ** 2).sum(axis=1)
    prior = len(layer) / norms if method.prior == NEUTRAL else jnp.full(len(vectors), float(method.prior))
    none = jnp.zeros(width.shape, int)
    return Chain(vectors, losses, width, none, none, none, losses, prior * method.prior_factor)


class MetropolisWalk:
    """Metropolis chains of all replicas."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        vectors: jax.Array,
        patterns: Patterns,
        method: Metropolis,
        budget: float,
        seed: int,
    ) -> None:
        self._network, self._loss, self._method = network, loss, method
        self._vectors, self._patterns, self._keys = vectors, patterns, replica_keys(seed, len(vectors))
        layers = len(network.widths) - 1
        least = max(ADAPTED_ON * budget, LEAST_EACH * layers)
        self.adapted_on = int(budget) if method.kind is Law.GREEDY else int(min(least, AT_MOST * budget))

    def start(self) -> Chain:
        """The chains at their start."""
        losses = losses_at(self._network, self._loss, self._vectors, self._patterns)
        return start_chain(self._vectors, losses, packing(self._network).layer, self._method)

    def advance(self, state: Chain, begin: int, end: int) -> Chain:
        """The chains after the steps `begin` … `end` − 1."""
        advance = _compiled(self._network, self._loss, self._method, self.adapted_on)
        moved: Chain = advance(state, self._keys, self._patterns, begin, end)
        return moved

    def vectors(self, state: Chain) -> np.ndarray:
        """Where the chains are."""
        return np.asarray(state.vector)

    def cost(self, steps: int) -> float:
        """A forward pass a proposal."""
        return FORWARD * steps

    def counts(self, state: Chain) -> dict[str, np.ndarray]:
        """Proposals and acceptances by layer, since the widths were frozen, the widths, and how many steps they were adapted on."""
        found = {"proposed": state.proposed, "accepted": state.accepted, "width": jnp.exp(state.width)}
        return {"adapted_on": np.array(self.adapted_on), **{name: np.asarray(value) for name, value in found.items()}}


@lru_cache(maxsize=16)
def _compiled(network: Network, loss: Loss, method: Metropolis, adapted_on: int) -> Callable[..., Chain]:
    layer = jnp.asarray(packing(network).layer)

    def step(chain: Chain, key: jax.Array, number: jax.Array, own: Patterns) -> Chain:
        at = loss_on(network, loss, own.x, own.y)
        return move(chain, key, number < adapted_on, at, method, layer, len(own.x))

    return compiled(step)
