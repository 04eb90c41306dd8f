"""The objectives as JAX losses of one fit: what is minimised, in nats, with its parts."""

from __future__ import annotations

from collections.abc import Callable

from deepnets.backend import jax, jnp
from deepnets.variational.families import (
    Params,
    components,
    log_decoder,
    log_decoder_table,
    log_mixture,
    log_normal,
    log_states,
    normal_code,
    normal_divergence,
)
from deepnets.variational.objectives import Distortion, RateTerm
from deepnets.variational.settings import EncoderKind, VariationalSettings

Parts = tuple[jax.Array, jax.Array]
"""The rate term and the distortion, each a mean over the patterns, nats."""
PartsOf = Callable[[Params, jax.Array, jax.Array, jax.Array, jax.Array], Parts]
"""Of parameters, inputs (n, ...), log p̃ (n, k), weights (n,) summing to 1, and a random key."""


def parts_of(rate: RateTerm, kind: Distortion, settings: VariationalSettings) -> PartsOf:
    """The function that gives the parts of an objective."""
    if settings.encoder is EncoderKind.CATEGORICAL:
        return lambda params, inputs, rows, weights, key: _of_states(rate, kind, params, inputs, rows, weights)
    return lambda params, inputs, rows, weights, key: _of_normals(
        rate, kind, settings, params, inputs, rows, weights, key
    )


def _distortions(kind: Distortion, log_rows: jax.Array, log_d: jax.Array) -> jax.Array:
    """Cross-entropies −Σ p̃ log d, or divergences Σ d log(d/p̃), over the last axis."""
    if kind is Distortion.FORWARD:
        return -(jnp.exp(log_rows) * log_d).sum(axis=-1)
    return (jnp.exp(log_d) * (log_d - log_rows)).sum(axis=-1)


def _of_states(
    rate: RateTerm, kind: Distortion, params: Params, inputs: jax.Array, rows: jax.Array, weights: jax.Array
) -> Parts:
    log_e = log_states(params, inputs)
    e = jnp.exp(log_e)
    table = _distortions(kind, rows[:, None], log_decoder_table(params)[None])
    distortion = weights @ (e * table).sum(axis=1)
    if rate is RateTerm.PAIRWISE:
        divergence = (e * log_e).sum(axis=1)[:, None] - e @ log_e.T
        return -weights @ jax.nn.logsumexp(-divergence, b=weights[None], axis=1), distortion
    log_m = jax.nn.log_softmax(params["marginal"]["logits"], axis=-1)
    of_row = log_m if rate is RateTerm.MARGINAL else jnp.exp(rows) @ log_m
    return weights @ (e * (log_e - of_row)).sum(axis=1), distortion


def _of_normals(
    rate: RateTerm,
    kind: Distortion,
    settings: VariationalSettings,
    params: Params,
    inputs: jax.Array,
    rows: jax.Array,
    weights: jax.Array,
    key: jax.Array,
) -> Parts:
    mean, std = normal_code(params, inputs)
    z = mean + std * jax.random.normal(key, (settings.samples, *mean.shape), mean.dtype)
    distortion = _distortions(kind, rows[None], log_decoder(params, z)).mean(axis=0) @ weights
    if rate is RateTerm.PAIRWISE:
        divergence = normal_divergence(mean[:, None], std[:, None], mean[None], std[None])
        return -weights @ jax.nn.logsumexp(-divergence, b=weights[None], axis=1), distortion
    means, stds, log_weights = components(params, settings)
    if rate is RateTerm.CONDITIONAL:
        divergence = normal_divergence(mean[:, None], std[:, None], means[None], stds[None])
        return weights @ (jnp.exp(rows) * divergence).sum(axis=1), distortion
    if len(means) == 1:
        return weights @ normal_divergence(mean, std, means, stds), distortion
    log_m = log_mixture(z, means, stds, log_weights)
    return (log_normal(z, mean, std) - log_m).mean(axis=0) @ weights, distortion
