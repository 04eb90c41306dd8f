"""Encoders, marginals and decoders as JAX functions of their parameters, for one fit; fits are stacked by vmap.

Parameters are a dict of "encoder", "marginal" and "decoder". What a pattern is given to an encoder as is its x, or for tables
its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, pi

from deepnets.backend import jax, jnp
from deepnets.variational.objectives import RateTerm
from deepnets.variational.settings import DecoderKind, EncoderKind, MarginalKind, VariationalSettings

Params = dict[str, dict[str, jax.Array]]
LEAST_STD = 1e-3
DTYPE = jnp.float32


def init(
    key: jax.Array, settings: VariationalSettings, rate: RateTerm, n_patterns: int, x_dim: int, n_classes: int
) -> Params:
    """Parameters to start from."""
    encoder, marginal, decoder = jax.random.split(key, 3)
    dim, k = settings.code_dim, n_classes
    if settings.encoder is EncoderKind.CATEGORICAL:
        many = k if rate is RateTerm.CONDITIONAL else 1
        return {
            "encoder": {"logits": jax.random.normal(encoder, (n_patterns, dim), DTYPE)},
            "marginal": {"logits": jnp.zeros((many, dim), DTYPE)},
            "decoder": {"w0": jax.random.normal(decoder, (dim, k), DTYPE), "b0": jnp.zeros(k, DTYPE)},
        }
    if settings.encoder is EncoderKind.MLP:
        table = _layers(encoder, (x_dim, *settings.hidden, 2 * dim))
    else:
        mean = jax.random.normal(encoder, (n_patterns, dim), DTYPE)
        table = {"table": jnp.concatenate([mean, jnp.zeros_like(mean)], axis=1)}
    widths = (dim, k) if settings.decoder is DecoderKind.AFFINE else (dim, settings.decoder_width, k)
    return {
        "encoder": table,
        "marginal": _start_of_marginal(marginal, settings, rate, k),
        "decoder": _layers(decoder, widths),
    }


def _start_of_marginal(
    key: jax.Array, settings: VariationalSettings, rate: RateTerm, n_classes: int
) -> dict[str, jax.Array]:
    """Components N(mean, std²), with weights; of the conditional rate one a class."""
    if rate is RateTerm.CONDITIONAL:
        count = n_classes
    elif settings.marginal is MarginalKind.MIXTURE:
        count = settings.components
    else:
        count = 1
    spread = 0.0 if count == 1 else 1.0
    mean = spread * jax.random.normal(key, (count, settings.code_dim), DTYPE)
    return {"mean": mean, "log_std": jnp.zeros_like(mean), "logits": jnp.zeros(count, DTYPE)}


def _layers(key: jax.Array, widths: Sequence[int]) -> dict[str, jax.Array]:
    found: dict[str, jax.Array] = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        scale = (1.0 if i == len(widths) - 2 else 2.0) / fan_in  # He's before a ReLU
        found[f"w{i}"] = scale**0.5 * jax.random.normal(jax.random.fold_in(key, i), (fan_in, fan_out), DTYPE)
        found[f"b{i}"] = jnp.zeros(fan_out, DTYPE)
    return found


def _network(layers: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
    count = len(layers) // 2
    for i in range(count):
        inputs = inputs @ layers[f"w{i}"] + layers[f"b{i}"]
        inputs = jax.nn.relu(inputs) if i < count - 1 else inputs
    return inputs


@jax.jit
def normal_code(params: Params, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of e(z|x), each (n, dim); the inputs are x (n, d), or numbers (n,) of a table."""
    layers = params["encoder"]
    both = layers["table"][inputs] if "table" in layers else _network(layers, inputs)
    mean, raw = jnp.split(both, 2, axis=-1)
    return mean, jax.nn.softplus(raw) + LEAST_STD


@jax.jit
def log_states(params: Params, inputs: jax.Array) -> jax.Array:
    """Log e(t|x) of a categorical code, (n, states)."""
    return jax.nn.log_softmax(params["encoder"]["logits"][inputs], axis=-1)


@jax.jit
def log_decoder(params: Params, z: jax.Array) -> jax.Array:
    """Log d(y|z), (..., k)."""
    log_d: jax.Array = jax.nn.log_softmax(_network(params["decoder"], z), axis=-1)
    return log_d


def log_decoder_table(params: Params) -> jax.Array:
    """Log d(y|t) of a categorical code, (states, k)."""
    table: jax.Array = log_decoder(params, jnp.eye(len(params["decoder"]["w0"]), dtype=DTYPE))
    return table


def components(params: Params, settings: VariationalSettings) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Means and standard deviations of the normals of the marginal, (count, dim), and their log weights, (count,)."""
    marginal = params["marginal"]
    if settings.marginal is MarginalKind.STANDARD and len(marginal["mean"]) == 1:
        return jnp.zeros_like(marginal["mean"]), jnp.ones_like(marginal["mean"]), jnp.zeros(1, DTYPE)
    return marginal["mean"], jnp.exp(marginal["log_std"]), jax.nn.log_softmax(marginal["logits"])


def log_normal(z: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """Log density of independent normals, summed over the last axis."""
    # The logarithm is summed by itself: within the sum of squares it would be taken again for every z.
    squares = (((z - mean) / std) ** 2).sum(axis=-1)
    return -0.5 * squares - jnp.log(std).sum(axis=-1) - 0.5 * mean.shape[-1] * log(2 * pi)


def log_mixture(z: jax.Array, means: jax.Array, stds: jax.Array, log_weights: jax.Array) -> jax.Array:
    """Log density of a mixture of normals at z (..., dim), by one matrix product; exact to 1e-7 (z/std)², single precision."""
    precision = stds**-2
    linear = jnp.concatenate([-0.5 * precision, means * precision], axis=-1)
    constant = -0.5 * (means**2 * precision).sum(axis=-1) - jnp.log(stds).sum(axis=-1) - 0.5 * z.shape[-1] * log(2 * pi)
    exponents = jnp.concatenate([z**2, z], axis=-1) @ linear.T + constant + log_weights
    return jax.nn.logsumexp(exponents, axis=-1)


def normal_divergence(mean: jax.Array, std: jax.Array, to_mean: jax.Array, to_std: jax.Array) -> jax.Array:
    """D(N(mean, std²) ‖ N(to_mean, to_std²)), summed over the last axis, nats."""
    ratio = (std / to_std) ** 2
    return 0.5 * (ratio - 1 - jnp.log(ratio) + ((mean - to_mean) / to_std) ** 2).sum(axis=-1)
