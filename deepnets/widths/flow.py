r"""Gradient flow of finite dense networks in the NTK parameterisation, with the quantities that theory predicts.

Time steps are by the midpoint rule, of second order, and so are the integrals along the path; the formulas are those of
:mod:`deepnets.widths.formulas`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.networks import Network
from deepnets.widths.formulas import Formulas, Theta, hidden_width, network_key
from dualib.core.result import Result
from dualib.core.typing import Float, FloatArray

_BATCH_BYTES = 2**26  # parameters beyond the caches take longer


@dataclass(frozen=True, eq=False)
class FlowSample(Result):
    """What R trained networks came to at T times, on n training and m test points.

    Attributes
    ----------
    start : array, shape (R, n + m)
        Outputs before training, training points first.
    outputs : array, shape (R, T, n + m)
    kernel : array, shape (R, n, n)
        The empirical NTK at the start.
    fisher_trace, fisher_trace_test : arrays, shape (R, T)
        Trace of the empirical NTK on training and on test points.
    distance_squared : array, shape (R, T)
        ‖θ_τ - θ_0‖².
    kl, kl_rate : arrays, shape (R, T)
        Their means over networks are KL(p_τ ‖ p_0) in nats, and its rate dKL/dτ; NaN where the activation has a kink.
    length, action : arrays, shape (R, T)
        ∫‖dz/ds‖ ds and ∫‖dz/ds‖² ds on the training points.
    """

    start: Float[np.ndarray, "n_networks n_points"]
    outputs: Float[np.ndarray, "n_networks n_times n_points"]
    kernel: Float[np.ndarray, "n_networks n_train n_train"]
    fisher_trace: Float[np.ndarray, "n_networks n_times"]
    fisher_trace_test: Float[np.ndarray, "n_networks n_times"]
    distance_squared: Float[np.ndarray, "n_networks n_times"]
    kl: Float[np.ndarray, "n_networks n_times"]
    kl_rate: Float[np.ndarray, "n_networks n_times"]
    length: Float[np.ndarray, "n_networks n_times"]
    action: Float[np.ndarray, "n_networks n_times"]

    @classmethod
    def concatenate(cls, samples: Sequence[FlowSample]) -> FlowSample:
        """The networks of several samples as one."""
        return cls(*(np.concatenate([getattr(s, f.name) for s in samples]) for f in fields(cls)))

    def part(self, chosen: slice) -> FlowSample:
        """Some of the networks."""
        return FlowSample(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @property
    def n_networks(self) -> int:
        """The number R of networks."""
        return len(self.start)


def gradient_flow(
    network: Network,
    x: FloatArray,
    y: FloatArray,
    taus: tuple[float, ...],
    step: float,
    *,
    replicas: int,
    seed: int,
    first: int = 0,
    mirrored: bool = False,
    done: Callable[[int], object] = lambda count: None,
) -> FlowSample:
    """Train networks number `first`, …, first + replicas - 1 of a seed by gradient flow of the loss ½‖z - y‖².

    Parameters
    ----------
    network : Network
        Of one output, in the NTK parameterisation, with hidden layers of one width. In its precision
        all is computed; the rounding of single precision is far below the spread of networks.
    x : array, shape (n + m, d)
        Training points first, then test points.
    y : array, shape (n,) or (replicas, n)
        Labels for all networks, or one row a network.
    taus : tuple of float
        Increasing times.
    step : float
        The longest step; each stretch between two times is divided evenly.
    replicas, seed, first : int
    mirrored : bool
        Start with the readout's weights and bias negated: the outputs change sign, their NTK stays.
    done : callable
        Called with the number of networks that have been trained since the last call; what it raises ends the training.

    Returns
    -------
    FlowSample

    Raises
    ------
    ValueError
        If the network is of another kind, the times do not increase from above 0, or the step is not positive.

    Examples
    --------
    >>> sample = gradient_flow(network, x, y, taus=(0.5,), step=0.05, replicas=100, seed=0)  # doctest: +SKIP
    """
    stretches, counts = steps_of(taus, step)
    kind = np.dtype(network.dtype)
    labels = np.broadcast_to(np.asarray(y, kind), (replicas, np.shape(y)[-1]))
    size = batch_size(network)
    run = _compiled(network, labels.shape[1])
    lengths = np.asarray(stretches, kind) / np.asarray(counts, kind)
    sign, parts = kind.type(-1 if mirrored else 1), []
    for begin in range(0, replicas, size):  # all of one shape: a compilation takes longer than what is trained twice
        chosen = np.minimum(np.arange(begin, begin + size), replicas - 1)
        found = run(np.asarray(x, kind), labels[chosen], first + chosen, seed, sign, np.asarray(counts), lengths)
        parts.append(FlowSample(*(np.asarray(value, np.float64)[: replicas - begin] for value in found)))
        done(parts[-1].n_networks)
    return FlowSample.concatenate(parts)


def batch_size(network: Network) -> int:
    """Networks that are trained at once, as many as fit the caches, at most 100."""
    return max(1, min(100, _BATCH_BYTES // (24 * network.n_parameters)))


def steps_of(taus: tuple[float, ...], step: float) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The stretches between times, and the number of steps in each."""
    stretches = np.diff(np.r_[0.0, taus])
    if not (np.all(stretches > 0) and 0 < step < np.inf):
        raise ValueError(f"taus must increase from above 0 and step be positive, got {taus} and {step}")
    counts = tuple(max(1, int(np.ceil(length / step - 1e-9))) for length in stretches)
    return tuple(float(s) for s in stretches), counts


_State = tuple[
    Theta, jax.Array, jax.Array, jax.Array, jax.Array
]  # θ, KL, length, action, number of the next random step


@lru_cache(maxsize=32)
def _compiled(network: Network, n: int) -> Callable[..., tuple[jax.Array, ...]]:
    formulas, width = Formulas(network, n), hidden_width(network)

    def one(
        x: jax.Array, y: jax.Array, number: jax.Array, seed: int, sign: jax.Array, counts: jax.Array, lengths: jax.Array
    ) -> tuple[jax.Array, ...]:
        key = network_key(seed, width, number)
        theta0 = formulas.init(jax.random.fold_in(key, 0))
        w, b = theta0[-1]
        theta0[-1] = (sign * w, sign * b)
        layers = formulas.passes(theta0, x)

        def stretch(state: _State, of: tuple[jax.Array, jax.Array]) -> tuple[_State, tuple[jax.Array, ...]]:
            count, h = of

            def step(_: jax.Array, carry: _State) -> _State:
                theta, kl, length, action, number = carry
                middle = formulas.moved(theta, formulas.passes(theta, x), y, h / 2)
                at = formulas.passes(middle, x)
                kernel = formulas.kernel(at)
                speed2 = ((kernel @ (at.z[:n] - y)) ** 2).sum()
                rate = formulas.kl_rate(middle, at, kernel, y, jax.random.fold_in(key, number))
                moved = formulas.moved(theta, at, y, h)
                return moved, kl + h * rate, length + h * jnp.sqrt(speed2), action + h * speed2, number + 1

            theta, kl, length, action, number = jax.lax.fori_loop(0, count, step, state)
            at = formulas.passes(theta, x)
            distance = sum(
                ((a - b) ** 2).sum() for a, b in zip(jax.tree.leaves(theta), jax.tree.leaves(theta0), strict=True)
            )
            rate = formulas.kl_rate(theta, at, formulas.kernel(at), y, jax.random.fold_in(key, number))
            traces = formulas.traces(at)
            row = (at.z, traces[:n].sum(), traces[n:].sum(), distance, kl, rate, length, action)
            return (theta, kl, length, action, number + 1), row

        zero = jnp.zeros((), network.dtype)
        _, rows = jax.lax.scan(stretch, (theta0, zero, zero, zero, jnp.int32(1)), (counts, lengths))
        return layers.z, rows[0], formulas.kernel(layers), *rows[1:]

    run: Callable[..., tuple[jax.Array, ...]] = jax.jit(jax.vmap(one, (None, 0, 0, None, None, None, None)))
    return run
