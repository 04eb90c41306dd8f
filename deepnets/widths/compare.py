r"""Finite networks against the theory of infinitely wide ones: every quantity, with its error, its power and a verdict.

Ensembles of finite networks are trained by gradient flow (:mod:`deepnets.widths.flow`) at several widths N, and every quantity of
ntkinfo is set beside what they came to (:mod:`deepnets.widths.finite`, :mod:`deepnets.widths.agreement`). Errors of the time step
are measured apart, by halving the step for the same networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import ntkinfo
from deepnets.networks import Network, Parameterisation
from deepnets.widths.agreement import WITHIN
from deepnets.widths.comparison import Comparison
from deepnets.widths.exponents import Deviations, deviations_of, width_exponents
from deepnets.widths.finite import LEAST, Row, rows_of
from deepnets.widths.flow import steps_of
from deepnets.widths.formulas import hidden_width
from deepnets.widths.samples import IN_A_FILE, Batch, Flows, batches
from deepnets.widths.slopes import Slopes, predicted_slopes
from deepnets.widths.start import start_law_sample, start_sample
from dualib.core.arrays import columns, finite_array, positive, whole
from dualib.core.parallel import cores
from dualib.core.store import Store
from dualib.core.typing import FloatArray
from ntkinfo.setting import Setting

_KERNELS = 50  # kernels at the start for each network that is trained
_PAIRS = 400  # networks trained with their mirror images, at most, for the exponent of the bias


def compare_with_infinite_width(
    dataset: ntkinfo.Dataset | None = None,
    *,
    hidden_layers: int = 1,
    activation: str = "erf",
    w_std: float = 1.2,
    b_std: float = 0.3,
    kernels: ntkinfo.Kernels | None = None,
    widths: Sequence[int] = (64, 128, 256, 512),
    replicas: int = 1000,
    taus: Sequence[float] = (0.5, 1.5),
    within: float = WITHIN,
    exponents: bool = True,
    step: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
) -> Comparison:
    """Train ensembles of finite networks and set every quantity of ntkinfo beside what they came to.

    How many networks it takes to tell a difference of `within`, a call with few of them says: ``comparison.plan()``. A call
    with more goes on in the same directory with those that are there.

    Parameters
    ----------
    dataset : ntkinfo.Dataset or None
        Of one output. By default the Gaussian task of 4 training and 12 test points in 3 dimensions. Small sets leave a
        quantity few dimensions, in which a thousand networks say much.
    hidden_layers, activation, w_std, b_std : int, str, float, float
        Of the networks. An activation with a kink, as relu, has no divergence of the parameters to compare.
    kernels : ntkinfo.Kernels or None
        Of the prediction, on the points of the data set; by default those of the networks at infinite width.
    widths : sequence of int
        At least 2 different ones; three and more show whether corrections are of order 1/width.
    replicas : int
        Networks of the widest width, at least 10; narrower ones have more, up to eight times as many.
    taus : sequence of float
        Times of the loss ½‖f - Y‖².
    within : float
        The relative difference x that a verdict is about: "agrees to within ±x".
    exponents : bool
        Whether powers of the width are fitted as well, to networks trained with their mirror images and to many kernels at the
        start; a pilot needs none.
    step : float or None
        Of time; by default 0.1 over the largest eigenvalue of Θ.
    seed : int
        Seed of the networks.
    out : path or None
        A directory in which finished batches of networks are kept: the same call goes on where it was left.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    executor : concurrent.futures.Executor or None
        Where batches of networks are trained; by default here, on a thread a core.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a setting is out of range, the data or the kernels do not fit, or the directory holds a comparison with other
        settings.

    Examples
    --------
    >>> found = deepnets.compare_with_infinite_width(widths=(64, 128), replicas=100)  # doctest: +SKIP
    >>> print(found.to_table())  # doctest: +SKIP
    """
    data = _checked(dataset if dataset is not None else ntkinfo.gaussian_task(4, 12, x_dim=3, seed=seed))
    chosen = tuple(sorted({whole(width, "widths", 2) for width in widths}))
    times = tuple(sorted(set(map(float, taus))))
    positive(within, "within")
    if len(chosen) < 2:
        raise ValueError(f"widths must be at least two different numbers of at least 2, got {tuple(widths)}")
    if whole(replicas, "replicas") < LEAST:
        raise ValueError(f"replicas must be at least {LEAST}, for errors of any use, got {replicas}")
    ntk, d = Parameterisation.NTK, data.x_train.shape[1]
    nets = [
        Network((d, *[n] * hidden_layers, 1), activation, parameterisation=ntk, w_std=w_std, b_std=b_std)
        for n in chosen
    ]
    hidden_width(nets[0])
    setting = _setting(data, nets[0], times, kernels)
    h = step if step is not None else 0.1 / float(setting.ensemble.eigenvalues[-1])
    steps_of(times, h)
    x, y = np.concatenate([data.x_train, data.x_test]), data.y_train[:, 0]
    of_networks = {"hidden_layers": hidden_layers, "activation": activation, "w_std": w_std, "b_std": b_std}
    of_samples = {"taus": list(times), "step": h, "seed": seed, "networks_in_a_file": IN_A_FILE}
    of_data = {"dataset": data.settings, "digest": hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:16]}
    kept = {**of_networks, **of_samples, **of_data}  # other widths can be told by the files' names
    store = None if out is None else Store.open(out, kept, "comparison")
    work = _Work(setting, x, y, h, replicas, Flows(x, times, seed, store))
    counts = [replicas * min(8, chosen[-1] // n) for n in chosen]
    work.flows.train(work.batches(nets, counts, exponents), progress=progress, executor=executor)
    with ThreadPoolExecutor(cores()) as threads:
        errors = threads.submit(work.step_errors, nets[0])
        found = [row for part in threads.map(work.rows, nets) for row in part]
        slopes = threads.submit(work.slopes, nets[0], found, store) if kernels is None else None
        deviations = list(threads.map(work.deviations, nets)) if exponents else []
    rows = [replace(r, step_error=errors.result().get((r.quantity, r.tau), 0.0)) for r in found]
    powers = width_exponents(deviations, hidden_layers, seed) if exponents else ()
    predicted = Slopes(note="kernels of one's own have no predicted 1/width") if slopes is None else slopes.result()
    sizes = {"widths": list(chosen), "replicas": replicas, "n_points": (len(y), len(x) - len(y))}
    return Comparison(tuple(rows), powers, {**kept, **sizes, "own_kernels": kernels is not None}, within, predicted)


def _checked(data: ntkinfo.Dataset) -> ntkinfo.Dataset:
    """The data set with points (n, d) and labels (n, 1), or a ValueError that says what it has instead."""
    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        x = finite_array(getattr(data, f"x_{part}"), f"x_{part}")
        if x.ndim != 2 or not x.size:
            raise ValueError(
                f"x_{part} has shape {x.shape}, but dense networks take points of shape (n, d), n, d >= 1: flatten them"
            )
        y = columns(getattr(data, f"y_{part}"), f"y_{part}", len(x), f"x_{part} of shape {x.shape}")
        if y.shape[1] != 1:
            raise ValueError(
                f"y_{part} has shape {y.shape}, but the finite networks have one output: give one label a point"
            )
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    if arrays["x_train"].shape[1] != arrays["x_test"].shape[1]:
        shapes = " and ".join(str(arrays[name].shape) for name in ("x_train", "x_test"))
        raise ValueError(f"x_train and x_test have shapes {shapes}: they must have as many columns")
    return replace(data, **arrays)


def _setting(
    data: ntkinfo.Dataset, network: Network, taus: tuple[float, ...], kernels: ntkinfo.Kernels | None
) -> Setting:
    """The ensemble at infinite width, its test labels and their law."""
    if kernels is None:
        kernels = ntkinfo.kernels.dense(
            data.x_train,
            data.x_test,
            hidden_layers=network.hidden_layers,
            activation=network.activation,
            w_std=network.w_std,
            b_std=network.b_std,
        )
    n, m = len(data.x_train), len(data.x_test)
    block = kernels.ntk_test_train
    if kernels.ntk.shape != (n, n) or block is None or block.shape != (m, n):
        shape = "no kernel between them" if block is None else f"of shape {block.shape} between them"
        raise ValueError(
            f"kernels must be of the data's {n} training and {m} test points, got Θ of shape {kernels.ntk.shape} and {shape}"
        )
    noise = data.label_noise if data.label_noise is not None else 1.0
    ensemble = ntkinfo.Ensemble(kernels, data.y_train)
    return Setting(ensemble, taus, y=data.y_test, entropy_y=data.entropy_y, label_noise=noise)


@dataclass(frozen=True, eq=False)
class _Work:
    """What is trained for a comparison, and what is made of it."""

    setting: Setting
    x: FloatArray
    y: FloatArray
    step: float
    replicas: int
    flows: Flows

    @property
    def some(self) -> int:
        """Networks for what takes only some of them."""
        return min(self.replicas, max(100, self.replicas // 10))

    def batches(self, nets: Sequence[Network], counts: Sequence[int], mirrored: bool) -> list[Batch]:
        """All networks, mirror images, some of each width with other labels, and some of the narrowest with half the step."""
        found: list[Batch] = []
        for net, count in zip(nets, counts, strict=True):
            found += batches("flow", net, self.y, self.step, count)
            pairs = min(self.replicas, _PAIRS) if mirrored else 0
            found += batches("mirrored", net, self.y, self.step, pairs, mirrored=True)
            found += batches("labels", net, self.y + self.changes(net), self.step, self.some)
        return [*found, *batches("half", nets[0], self.y, self.step / 2, self.some)]

    def changes(self, net: Network) -> FloatArray:
        """Random changes of the labels, a row a network."""
        rng = np.random.default_rng([self.flows.seed, hidden_width(net)])
        return 0.1 * rng.choice([-1.0, 1.0], size=(self.some, len(self.y)))

    def rows(self, net: Network) -> list[Row]:
        """The rows of one width."""
        n, sample = len(self.y), self.flows.sample("flow", net)
        moved = self.flows.sample("labels", net).outputs[:, :, :n] - sample.outputs[: self.some, :, :n]
        return rows_of(self.setting, sample, (self.changes(net), moved), np.array(self.flows.taus), hidden_width(net))

    def deviations(self, net: Network) -> Deviations:
        """How the networks of one width deviate from infinite width."""
        flows, n, taus = self.flows, len(self.y), self.flows.taus
        sample, mirrored = flows.sample("flow", net), flows.sample("mirrored", net)
        start = start_sample(net, self.x, replicas=mirrored.n_networks, seed=flows.seed)
        law = start_law_sample(net, self.x[:n], replicas=_KERNELS * self.replicas, seed=flows.seed)
        return deviations_of(net, self.x, self.y, taus, self.step, sample, mirrored, start, law)

    def slopes(self, net: Network, rows: Sequence[Row], store: Store | None) -> Slopes:
        """The predicted coefficients of 1/width, which are kept beside the networks."""
        name = f"slopes_{len({row.quantity for row in rows})}"  # few networks have fewer rows
        if store is not None:
            with suppress(ValueError):  # damaged
                kept = store.get(name, Slopes)
                if kept is not None:
                    return kept
        found = predicted_slopes(self.setting, net, self.x, rows)
        if store is not None:
            store.put(name, found)
        return found

    def step_errors(self, net: Network) -> dict[tuple[str, float], float]:
        """|q(step) - q(step/2)|·4/3, the error of a second-order step, of the same networks; 0 of responses to the labels."""
        coarse, fine = self.flows.sample("flow", net).part(slice(self.some)), self.flows.sample("half", net)
        times = np.array(self.flows.taus)
        no_response = (np.ones((2, len(self.y))), np.zeros((2, len(times), len(self.y))))
        pair = [rows_of(self.setting, sample, no_response, times, hidden_width(net)) for sample in (coarse, fine)]
        return {
            (a.quantity, a.tau): abs(a.finite - b.finite) * 4 / 3
            for a, b in zip(*pair, strict=True)
            if np.isfinite(a.finite - b.finite)
        }
