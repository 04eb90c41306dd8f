"""What a variational fit found, as its evaluation and its gap read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.variational.families import Params
from deepnets.variational.objectives import Objective
from deepnets.variational.patterns import Patterns
from deepnets.variational.settings import VariationalSettings
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray, Int, IntArray


@dataclass(frozen=True, eq=False)
class Fitted(Result):
    """Fits of one objective at S seeds and B values of β.

    Attributes
    ----------
    objective : Objective
    settings : VariationalSettings
    patterns : Patterns
        What it was fitted to.
    betas : array, shape (B,)
        Ascending.
    params : dict of arrays, shapes (S, B, ...)
        Of encoder, marginal and decoder: "encoder.w0", …
    trained : array of int, shape (S, n_train)
        The patterns of each seed.
    log_confusion : array, shape (S, k, k), or None
        Log C(y'|y) of a model of label noise.
    """

    objective: Objective
    settings: VariationalSettings
    patterns: Patterns
    betas: Float[np.ndarray, " n_betas"]
    params: dict[str, np.ndarray]
    trained: Int[np.ndarray, "n_seeds n_train"]
    log_confusion: FloatArray | None = None

    @property
    def n_seeds(self) -> int:
        """The number S of seeds."""
        return len(self.trained)

    def parameters(self, seed: int, i: int) -> Params:
        """Of encoder, marginal and decoder at one seed and the i-th β."""
        return unflatten({name: jnp.asarray(value[seed, i]) for name, value in self.params.items()})

    @property
    def inputs(self) -> np.ndarray:
        """What the encoder is given: x (n, d), or for tables the patterns' numbers (n,)."""
        return inputs_of(self.patterns, self.settings)

    def held_out(self, seed: int) -> IntArray:
        """The patterns that a seed was not trained on."""
        return np.setdiff1d(np.arange(self.patterns.n), self.trained[seed])


def flatten(params: Params) -> dict[str, jax.Array]:
    """Parameters under the paths of their parts: "encoder.w0", …"""
    return {f"{part}.{name}": value for part, layers in params.items() for name, value in layers.items()}


def unflatten(arrays: dict[str, jax.Array]) -> Params:
    """The inverse of :func:`flatten`."""
    params: Params = {}
    for path, value in arrays.items():
        part, _, name = path.partition(".")
        params.setdefault(part, {})[name] = value
    return params


def inputs_of(patterns: Patterns, settings: VariationalSettings) -> np.ndarray:
    """What an encoder is given of the patterns."""
    return np.arange(patterns.n) if settings.tabular or patterns.x is None else patterns.x
