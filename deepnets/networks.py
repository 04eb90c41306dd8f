r"""Fully connected networks, deterministic or noisy, in the standard or the NTK parameterisation.

.. math:: S_l = \varphi(W_l T_{l-1} + b_l), \qquad T_l = S_l + Z_l, \quad Z_l \sim N(0, \sigma^2 I), \qquad T_0 = x

at the hidden layers, and an affine readout. Parameters are a list of one {"w": (in, out), "b": (out,)} a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import jax

    import ntkinfo

    Params = list[dict[str, jax.Array]]

ACTIVATIONS = ("tanh", "relu", "erf", "linear", "sin", "gelu")


@dataclass(frozen=True)
class Network:
    r"""A network's definition: hashable, without parameters.

    Parameters
    ----------
    widths : sizes (inputs, hidden layers …, outputs).
    activation : φ of the hidden layers: "tanh", "relu", "erf", "linear", "sin" or "gelu".
    noise_std : σ of the noise added to every hidden layer after φ; 0 for a deterministic network.
    parameterisation : "standard": the layer's map is Wt + b, with W ~ w_std/√fan_in times a standard normal truncated at
        ±2 and b ~ N(0, b_std²); "ntk": it is w_std/√fan_in Wt + b_std b, with W and b standard normal.
    w_std, b_std : scales of weights and biases. The defaults, standard, are the initialisation of [shwartzziv2017]_.
    dropout : probability in [0, 1) with which a hidden unit is zeroed in training, the others being scaled up.
    dtype : "float32", in which networks are trained and run by default, or "float64".

    Raises
    ------
    ValueError: a size, scale or name out of range (the message says which).

    References
    ----------
    [shwartzziv2017]_, [goldfeld2019]_ section 2, [jacot2018]_
    """

    widths: tuple[int, ...]
    activation: str = "tanh"
    noise_std: float = 0.0
    parameterisation: Literal["standard", "ntk"] = "standard"
    w_std: float = 1.0
    b_std: float = 0.0
    dropout: float = 0.0
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        widths = tuple(self.widths)
        if len(widths) < 2 or any(int(w) != w or w < 1 for w in widths):
            raise ValueError(f"widths must be at least two whole numbers ≥ 1 (inputs, hidden…, outputs), got {widths}")
        object.__setattr__(self, "widths", tuple(int(w) for w in widths))
        _choice("activation", self.activation, ACTIVATIONS)
        _choice("parameterisation", self.parameterisation, ("standard", "ntk"))
        _choice("dtype", self.dtype, ("float32", "float64"))
        if not (isfinite(self.noise_std) and self.noise_std >= 0):
            raise ValueError(f"noise_std must be ≥ 0 and finite (0: no noise), got {self.noise_std}")
        if not (isfinite(self.w_std) and self.w_std > 0):
            raise ValueError(f"w_std must be positive and finite, got {self.w_std}")
        if not (isfinite(self.b_std) and self.b_std >= 0):
            raise ValueError(f"b_std must be ≥ 0 and finite, got {self.b_std}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")

    @classmethod
    def from_ntkinfo(cls, network: ntkinfo.Architecture, d_in: int, **more: Any) -> Network:
        """The finite network of :func:`ntkinfo.mlp`'s definition: same map of same parameters, same law of them.

        Parameters
        ----------
        network : what :func:`ntkinfo.mlp` returned; its width is the hidden layers'.
        d_in : size of the input.
        more : noise_std, dropout or dtype.

        Raises
        ------
        ValueError: the network is not fully connected.
        """
        s = network.settings
        if s.get("architecture") != "mlp":
            raise ValueError(
                f"only ntkinfo.mlp has a fully connected twin, got {s.get('architecture', 'no settings')!r}"
            )
        widths = (d_in, *[s["width"]] * s["hidden_layers"], s["n_outputs"])
        scales = {"w_std": s["w_std"], "b_std": s["b_std"]}
        return cls(widths, s["activation"], parameterisation="ntk", **scales, **more)

    def infinite(self) -> ntkinfo.Architecture:
        """The same architecture with its infinitely wide limit, :func:`ntkinfo.mlp`.

        Raises
        ------
        ValueError: a network without such a limit: noisy, with dropout, of the standard parameterisation, of hidden
            layers of several widths, or with an activation that ntkinfo does not know.
        """
        import ntkinfo

        hidden = self.widths[1:-1]
        if self.parameterisation != "ntk" or self.noise_std or self.dropout or len(set(hidden)) > 1:
            raise ValueError(
                "only deterministic networks of the NTK parameterisation with hidden layers of one width have a twin in "
                f"ntkinfo, got {self}"
            )
        width = hidden[0] if hidden else 1
        return ntkinfo.mlp(len(hidden), self.activation, self.w_std, self.b_std, width=width, n_outputs=self.widths[-1])

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
        return sum((a + 1) * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    def settings(self) -> dict[str, Any]:
        """The definition as a plain dictionary."""
        return {**asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Network:
        """The inverse of :meth:`settings`."""
        return cls(**{**settings, "widths": tuple(settings["widths"])})

    def init(self, key: jax.Array) -> Params:
        """Parameters drawn with a JAX random key: a list of one {"w": (in, out), "b": (out,)} a layer."""
        import jax

        fans = list(zip(self.widths, self.widths[1:], strict=False))
        w_key, b_key = jax.random.split(key)  # one draw for all layers: compiled once
        weights, biases = (sum(a * b for a, b in fans),), (sum(self.widths[1:]),)
        b = jax.random.normal(b_key, biases, self.dtype)
        if self.parameterisation == "ntk":
            w = jax.random.normal(w_key, weights, self.dtype)
        else:
            w, b = jax.random.truncated_normal(w_key, -2.0, 2.0, weights, self.dtype), self.b_std * b
        params, i, j = [], 0, 0
        for fan_in, fan_out in fans:
            scale = 1.0 if self.parameterisation == "ntk" else self.w_std / sqrt(fan_in)
            layer = scale * w[i : i + fan_in * fan_out].reshape(fan_in, fan_out)
            params.append({"w": layer, "b": b[j : j + fan_out]})
            i, j = i + fan_in * fan_out, j + fan_out
        return params

    def apply(
        self, params: Params, x: jax.Array, key: jax.Array | None = None, *, dropout_key: jax.Array | None = None
    ) -> jax.Array:
        """Outputs, before any softmax, shape (n, n_outputs). See :meth:`hidden` for the keys."""
        import jax.numpy as jnp

        return self.columns(params, jnp.asarray(x, self.dtype).T, key, dropout_key)[-1].T

    def hidden(self, params: Params, x: jax.Array, key: jax.Array | None = None) -> list[jax.Array]:
        """The hidden layers' activations, shapes (n, width).

        Parameters
        ----------
        params, x : parameters, and patterns of shape (n, d).
        key : of the noise. Without it, a noisy network passes on the noiseless part, and so do its later layers.
        """
        import jax.numpy as jnp

        return [t.T for t in self.columns(params, jnp.asarray(x, self.dtype).T, key)[:-1]]

    def outputs_probability(self, params: Params, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Softmax of the outputs, shape (n, n_outputs)."""
        import jax

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
        import jax
        import jax.numpy as jnp

        layers, t = [], x
        for i, layer in enumerate(params[:-1]):
            t = _activate(self.activation, self._affine(layer, t, i))
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
        if self.parameterisation == "standard":
            return product + layer["b"][:, None]
        return (self.w_std / sqrt(self.widths[index])) * product + self.b_std * layer["b"][:, None]


def _activate(name: str, z: jax.Array) -> jax.Array:
    import jax
    import jax.numpy as jnp

    if name == "gelu":
        return jax.nn.gelu(z, approximate=False)
    functions = {"tanh": jnp.tanh, "relu": jax.nn.relu, "erf": jax.scipy.special.erf, "sin": jnp.sin}
    return z if name == "linear" else functions[name](z)


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(allowed)}")
