r"""Fully connected networks, deterministic or noisy, in the standard or the NTK parameterisation.

.. math:: S_l = \varphi(W_l T_{l-1} + b_l), \qquad T_l = S_l + Z_l, \quad Z_l \sim N(0, \sigma^2 I), \qquad T_0 = x

at the hidden layers, and an affine readout. Parameters are a list of one {"w": (in, out), "b": (out,)} a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise
from math import sqrt
from typing import Any, cast

import numpy as np

import ntkinfo
from deepnets.backend import jax, jnp
from dualib.core.arrays import choice, positive, whole
from dualib.core.typing import Float
from ntkinfo import activations
from ntkinfo.activations import Activation

Params = list[dict[str, jax.Array]]
Map = Callable[[jax.Array], jax.Array]
"""An elementwise function of JAX's arrays: what the activations of the list are there."""
Patterns = Float[jax.Array | np.ndarray, "n_patterns n_inputs"]


class Parameterisation(StrEnum):
    """Where a layer's scales stand."""

    STANDARD = "standard"
    """The map is Wt + b, with W ~ w_std/√fan_in times a standard normal truncated at ±2, and b ~ N(0, b_std²)."""
    NTK = "ntk"
    """The map is w_std/√fan_in Wt + b_std b, with W and b standard normal ([jacot2018]_)."""


@dataclass(frozen=True)
class Network:
    r"""A network's definition: hashable, without parameters.

    Attributes
    ----------
    widths : tuple of int
        Sizes (inputs, hidden layers …, outputs).
    activation : str
        φ of the hidden layers, by its name in :mod:`ntkinfo.activations`, where one's own are registered.
    noise_std : float
        σ of the noise added to every hidden layer after φ; 0 for a deterministic network.
    parameterisation : Parameterisation
    w_std, b_std : float
        Scales of weights and biases. The defaults, standard, are the initialisation of [shwartzziv2017]_.
    dropout : float
        Probability in [0, 1) with which a hidden unit is zeroed in training, the others being scaled up.
    dtype : str
        "float32", in which networks are trained and run by default, or "float64".

    Raises
    ------
    ValueError
        If a size, scale or name is out of range; the message says which.

    References
    ----------
    [shwartzziv2017]_, [goldfeld2019]_ section 2, [jacot2018]_

    Examples
    --------
    >>> Network((12, 10, 7, 5, 4, 3, 2)).n_parameters
    294
    """

    widths: tuple[int, ...]
    activation: str = "tanh"
    noise_std: float = 0.0
    parameterisation: Parameterisation = Parameterisation.STANDARD
    w_std: float = 1.0
    b_std: float = 0.0
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        widths = tuple(whole(width, f"widths[{i}]", 1) for i, width in enumerate(self.widths))
        if len(widths) < 2:
            raise ValueError(f"widths must be at least two whole numbers ≥ 1 (inputs, hidden…, outputs), got {widths}")
        checked: dict[str, Any] = {
            "widths": widths,
            "activation": choice(self.activation, "activation", activations.names()),
            "parameterisation": Parameterisation(choice(self.parameterisation, "parameterisation", Parameterisation)),
            "dtype": choice(self.dtype, "dtype", ("float32", "float64")),
            "noise_std": positive(self.noise_std, "noise_std", zero=True),
            "w_std": positive(self.w_std, "w_std"),
            "b_std": positive(self.b_std, "b_std", zero=True),
            "dropout": positive(self.dropout, "dropout", zero=True),
        }
        if checked["dropout"] >= 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_ntkinfo(cls, network: ntkinfo.Architecture, d_in: int, **more: Any) -> Network:
        """The finite network of :func:`ntkinfo.mlp`'s definition: same map of same parameters, same law of them.

        Parameters
        ----------
        network : ntkinfo.Architecture
            What :func:`ntkinfo.mlp` returned; its width is the hidden layers'.
        d_in : int
            Size of the input.
        **more
            noise_std, dropout or dtype.

        Raises
        ------
        ValueError
            If the network is not fully connected.
        """
        s = network.settings
        if s.get("architecture") != "mlp":
            raise ValueError(
                f"only ntkinfo.mlp has a fully connected twin, got {s.get('architecture', 'no settings')!r}"
            )
        widths = (d_in, *[s["width"]] * s["hidden_layers"], s["n_outputs"])
        scales = {"w_std": s["w_std"], "b_std": s["b_std"]}
        return cls(widths, s["activation"], parameterisation=Parameterisation.NTK, **scales, **more)

    def infinite(self) -> ntkinfo.Architecture:
        """The same architecture with its infinitely wide limit, :func:`ntkinfo.mlp`.

        Raises
        ------
        ValueError
            If the network has no such limit: noisy, with dropout, of the standard parameterisation, of hidden layers of
            several widths.
        """
        self.check_ntk()
        width = self.widths[1] if self.hidden_layers else 1
        return ntkinfo.mlp(
            self.hidden_layers, self.activation, self.w_std, self.b_std, width=width, n_outputs=self.widths[-1]
        )

    def check_ntk(self) -> None:
        """Refuse, with a ValueError, networks that theory of infinite width does not know under any activation."""
        if (
            self.parameterisation is not Parameterisation.NTK
            or self.noise_std
            or self.dropout
            or len(set(self.widths[1:-1])) > 1
        ):
            raise ValueError(
                "only deterministic networks of the NTK parameterisation with hidden layers of one width have a twin in "
                f"ntkinfo, got {self}"
            )

    @property
    def phi(self) -> Activation:
        """The activation of the hidden layers, with its derivatives."""
        return Activation.named(self.activation)

    @property
    def ends_at_one(self) -> bool:
        """Whether the hidden units fill [-1, 1], towards whose ends they saturate."""
        far = np.array([-40.0, 40.0])
        return self.phi.saturates and bool(np.array_equal(self.phi.phi(far), [-1.0, 1.0]))

    @property
    def hidden_layers(self) -> int:
        """How many hidden layers."""
        return len(self.widths) - 2

    @property
    def layer_names(self) -> tuple[str, ...]:
        """A name a layer of :meth:`hidden`, the output last."""
        return (*(f"{i} ({w})" for i, w in enumerate(self.widths[1:-1], 1)), f"output ({self.widths[-1]})")

    @property
    def random_in_training(self) -> bool:
        """Whether training draws random numbers: noise or dropout."""
        return self.noise_std > 0 or self.dropout > 0

    @property
    def n_parameters(self) -> int:
        """How many weights and biases."""
        return sum((a + 1) * b for a, b in pairwise(self.widths))

    def settings(self) -> dict[str, Any]:
        """The definition as a plain dictionary."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Network:
        """The inverse of :meth:`settings`."""
        return cls(**{**settings, "widths": tuple(settings["widths"])})

    def init(self, key: jax.Array) -> Params:
        """Parameters drawn with a JAX random key: a list of one {"w": (in, out), "b": (out,)} a layer."""
        fans = list(pairwise(self.widths))
        w_key, b_key = jax.random.split(key)  # one draw for all layers: compiled once
        weights, biases = (sum(a * b for a, b in fans),), (sum(self.widths[1:]),)
        b = jax.random.normal(b_key, biases, self.dtype)
        if self.parameterisation is Parameterisation.NTK:
            w = jax.random.normal(w_key, weights, self.dtype)
        else:
            w, b = jax.random.truncated_normal(w_key, -2.0, 2.0, weights, self.dtype), self.b_std * b
        params, i, j = [], 0, 0
        for fan_in, fan_out in fans:
            scale = 1.0 if self.parameterisation is Parameterisation.NTK else self.w_std / sqrt(fan_in)
            layer = scale * w[i : i + fan_in * fan_out].reshape(fan_in, fan_out)
            params.append({"w": layer, "b": b[j : j + fan_out]})
            i, j = i + fan_in * fan_out, j + fan_out
        return params

    def apply(
        self, params: Params, x: Patterns, key: jax.Array | None = None, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """Outputs, before any softmax, shape (n, n_outputs). See :meth:`hidden` for the keys."""
        return self.columns(params, jnp.asarray(x, self.dtype).T, key, dropout_key)[-1].T

    def hidden(self, params: Params, x: Patterns, key: jax.Array | None = None) -> list[jax.Array]:
        """The hidden layers' activations, shapes (n, width).

        Parameters
        ----------
        params : list of dict
        x : array, shape (n, d)
        key : JAX random key or None
            Key of the noise. Without it, a noisy network passes on the noiseless part, and so do its later layers.
        """
        return [t.T for t in self.columns(params, jnp.asarray(x, self.dtype).T, key)[:-1]]

    def outputs_probability(self, params: Params, x: Patterns, key: jax.Array | None = None) -> jax.Array:
        """Softmax of the outputs, shape (n, n_outputs)."""
        return jax.nn.softmax(self.apply(params, x, key), axis=-1)

    def noiseless_parts(self, params: Params, x: jax.Array, key: jax.Array) -> list[jax.Array]:
        """S_1 … S_L of one noisy pass, one pattern a column: shapes (width, n)."""
        parts: list[jax.Array] = []
        self.columns(params, x, key, parts=parts)
        return parts

    def columns(
        self,
        params: Params,
        x: jax.Array,
        key: jax.Array | None = None,
        dropout_key: jax.Array | None = None,
        parts: list[jax.Array] | None = None,
    ) -> list[jax.Array]:
        """T_1 … T_L and the outputs, one pattern a column: shapes (width, n), as is fastest for narrow layers."""
        phi, layers, t = cast(Map, self.phi.phi), [], x
        for i, layer in enumerate(params[:-1]):
            t = phi(self._affine(layer, t, i))
            if parts is not None:
                parts.append(t)
            if self.dropout and dropout_key is not None:
                kept = jax.random.bernoulli(jax.random.fold_in(dropout_key, i), 1 - self.dropout, t.shape)
                t = jnp.where(kept, t / (1 - self.dropout), 0)
            if self.noise_std and key is not None:
                t = t + self.noise_std * jax.random.normal(jax.random.fold_in(key, i), t.shape, t.dtype)
            layers.append(t)
        return [*layers, self._affine(params[-1], t, len(params) - 1)]

    def _affine(self, layer: dict[str, jax.Array], t: jax.Array, index: int) -> jax.Array:
        product = layer["w"].T @ t
        if self.parameterisation is Parameterisation.STANDARD:
            return product + layer["b"][:, None]
        return (self.w_std / sqrt(self.widths[index])) * product + self.b_std * layer["b"][:, None]
