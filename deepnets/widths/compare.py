r"""Finite networks against the theory of infinitely wide ones: every quantity, with standard errors and a verdict.

Ensembles of finite networks are trained by gradient flow (:mod:`deepnets.widths.flow`) at several widths N, and every quantity of
ntkinfo is set beside what they came to (:mod:`deepnets.widths.finite`, :mod:`deepnets.widths.agreement`). Errors of the time step
are measured apart, by halving the step for the same networks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np

import ntkinfo
from deepnets.networks import Network, Parameterisation
from deepnets.widths.agreement import Comparison
from deepnets.widths.exponents import Deviations, deviations_of, width_exponents
from deepnets.widths.finite import Row, rows_of
from deepnets.widths.flow import FlowSample, gradient_flow, steps_of
from deepnets.widths.formulas import hidden_width
from deepnets.widths.start import start_law_sample, start_sample
from dualib.core.arrays import whole
from dualib.core.progress import progress_bar
from dualib.core.store import Store
from dualib.core.typing import FloatArray
from ntkinfo.setting import Setting

_KEPT = 100  # networks in a file
_KERNELS = 50  # kernels at the start for each network that is trained
_PAIRS = 400  # networks trained with their mirror images, at most, for the exponent of the bias

Done = Callable[[int], None]
Compared = tuple[list[Row], Deviations]
"""The rows of one width, and how its networks deviate from infinite width."""


def compare_with_infinite_width(
    dataset: ntkinfo.Dataset | None = None,
    *,
    hidden_layers: int = 1,
    activation: str = "erf",
    w_std: float = 1.2,
    b_std: float = 0.3,
    widths: Sequence[int] = (64, 128, 256, 512),
    replicas: int = 1000,
    taus: Sequence[float] = (0.5, 1.5),
    step: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Train ensembles of finite networks and set every quantity of ntkinfo beside what they came to.

    Parameters
    ----------
    dataset : ntkinfo.Dataset or None
        By default the Gaussian task of 4 training and 12 test points in 3 dimensions. Small sets leave a quantity few
        dimensions, in which a thousand networks say much.
    hidden_layers, activation, w_std, b_std : int, str, float, float
        Of the networks. An activation with a kink, as relu, has no divergence of the parameters to compare.
    widths : sequence of int
        At least 2 different ones, for verdicts at least 3.
    replicas : int
        Networks of the widest width, at least 100; narrower ones have more, up to eight times as many.
    taus : sequence of float
        Times of the loss ½‖f - Y‖².
    step : float or None
        Of time; by default 0.1 over the largest eigenvalue of Θ.
    seed : int
        Seed of the networks.
    out : path or None
        A directory in which finished batches of networks are kept: the same call goes on where it was left.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a setting is out of range, or the directory holds a comparison with other settings.
    """
    data = dataset if dataset is not None else ntkinfo.gaussian_task(4, 12, x_dim=3, seed=seed)
    chosen = tuple(sorted({whole(width, "widths", 2) for width in widths}))
    times = tuple(sorted(set(map(float, taus))))
    if len(chosen) < 2:
        raise ValueError(f"widths must be at least two different numbers of at least 2, got {tuple(widths)}")
    if whole(replicas, "replicas") < 100:
        raise ValueError(f"replicas must be at least 100 for the jackknife's groups, got {replicas}")
    if data.y_train.ndim != 2 or data.y_train.shape[1] != 1:
        raise ValueError(f"the finite networks have one output, but the labels have shape {data.y_train.shape}")
    ntk, d = Parameterisation.NTK, data.x_train.shape[1]
    nets = [
        Network((d, *[n] * hidden_layers, 1), activation, parameterisation=ntk, w_std=w_std, b_std=b_std)
        for n in chosen
    ]
    hidden_width(nets[0])
    setting = _setting(data, nets[0], times)
    h = step if step is not None else 0.1 / float(setting.ensemble.eigenvalues[-1])
    steps_of(times, h)
    of_networks = {"hidden_layers": hidden_layers, "activation": activation, "w_std": w_std, "b_std": b_std}
    of_samples = {"replicas": replicas, "taus": list(times), "step": h, "seed": seed, "networks_in_a_file": _KEPT}
    settings = {**of_networks, "widths": list(chosen), **of_samples, "dataset": data.settings}
    flows = _Flows(setting, np.concatenate([data.x_train, data.x_test]), data.y_train[:, 0], settings, out)
    counts = {net: replicas * min(8, chosen[-1] // hidden_width(net)) for net in nets}
    with progress_bar(flows.work(list(counts.values())), "finite networks", progress) as update:
        done, stop = _stoppable(update)
        found = _side_by_side(lambda net: flows.compared(net, counts[net], done), nets, stop)
        errors = _step_errors(setting, flows, nets[0], done)
    rows = [replace(r, step_error=errors.get((r.quantity, r.tau), 0.0)) for part, _ in found for r in part]
    exponents = width_exponents([deviations for _, deviations in found], hidden_layers, seed)
    return Comparison(tuple(rows), exponents, settings)


def _side_by_side(work: Callable[[Network], Compared], nets: Sequence[Network], stop: Event) -> list[Compared]:
    """The results of all widths, in their order, with a thread a core; one error, or Ctrl-C, ends all.

    Compilation and training leave Python's lock. The widest networks, which take longest, come first.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(work, net) for net in reversed(nets)]
        try:
            for ended in wait(futures, return_when=FIRST_EXCEPTION).done:
                ended.result()
        except BaseException:  # Ctrl-C included: the other widths end after the networks under way
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in reversed(futures)]


def _setting(data: ntkinfo.Dataset, network: Network, taus: tuple[float, ...]) -> Setting:
    """The ensemble at infinite width, its test labels and their law."""
    kernels = ntkinfo.kernels.dense(
        data.x_train,
        data.x_test,
        hidden_layers=network.hidden_layers,
        activation=network.activation,
        w_std=network.w_std,
        b_std=network.b_std,
    )
    noise = data.label_noise if data.label_noise is not None else 1.0
    ensemble = ntkinfo.Ensemble(kernels, data.y_train)
    return Setting(ensemble, taus, y=data.y_test, entropy_y=data.entropy_y, label_noise=noise)


class _Flows:
    """Samples of networks, in batches that fit the memory, kept on disk where a directory is given."""

    def __init__(
        self, setting: Setting, x: FloatArray, y: FloatArray, settings: Mapping[str, Any], out: str | Path | None
    ) -> None:
        self.setting, self.x, self.y = setting, x, y
        self.taus: tuple[float, ...] = tuple(settings["taus"])
        self.step: float = settings["step"]
        self.seed: int = settings["seed"]
        self.replicas: int = settings["replicas"]
        # Batches of other widths can be told by their names.
        kept = {name: value for name, value in settings.items() if name != "widths"}
        self.store = None if out is None else Store.open(out, kept, "comparison")

    @property
    def some(self) -> int:
        """Networks for what takes only some of them."""
        return max(100, self.replicas // 10)

    def batches(self, replicas: int) -> Iterator[tuple[int, int]]:
        """(first network, how many) of each file."""
        for first in range(0, replicas, _KEPT):
            yield first, min(_KEPT, replicas - first)

    def work(self, counts: Sequence[int]) -> int:
        """Networks to train: all, mirror images, some of each width with other labels, of the narrowest with half the step."""
        return sum(counts) + len(counts) * min(self.replicas, _PAIRS) + (len(counts) + 1) * self.some

    def compared(self, net: Network, count: int, done: Done) -> Compared:
        """Everything of one width, of which `count` networks are trained."""
        sample = self.sample(net, count, done)
        perturbed = self.perturbed(net, sample, done)
        rows = rows_of(self.setting, sample, perturbed, np.array(self.taus), hidden_width(net))
        pairs, n = min(self.replicas, _PAIRS), len(self.y)
        mirrored = self.sample(net, pairs, done, mirrored=True, name="mirrored")
        start = start_sample(net, self.x, replicas=pairs, seed=self.seed)
        kernels = start_law_sample(net, self.x[:n], replicas=_KERNELS * self.replicas, seed=self.seed)
        return rows, deviations_of(net, self.x, self.y, self.taus, self.step, sample, mirrored, start, kernels)

    def sample(
        self,
        net: Network,
        replicas: int,
        done: Done,
        *,
        step: float | None = None,
        y: FloatArray | None = None,
        mirrored: bool = False,
        name: str = "flow",
    ) -> FlowSample:
        """The first `replicas` networks, trained or read."""
        parts = []
        for first, count in self.batches(replicas):
            labels = self.y if y is None else y[first : first + count]
            file = f"{name}_{hidden_width(net)}_{first}"
            part = self._kept(file)
            if part is None or part.n_networks < count:  # a last file, of a call with fewer networks
                part = gradient_flow(
                    net,
                    self.x,
                    labels,
                    self.taus,
                    step or self.step,
                    replicas=count,
                    seed=self.seed,
                    first=first,
                    mirrored=mirrored,
                    done=done,
                )
                if self.store is not None:
                    self.store.put(file, part)
            else:
                done(count)
            parts.append(part.part(slice(count)))
        return FlowSample.concatenate(parts)

    def _kept(self, name: str) -> FlowSample | None:
        """What is kept under a name, or None; what is damaged is trained again."""
        try:
            return None if self.store is None else self.store.get(name, FlowSample)
        except ValueError:
            return None

    def perturbed(self, net: Network, sample: FlowSample, done: Done) -> tuple[FloatArray, FloatArray]:
        """Random changes of the labels, and the changes of the training outputs they make, for some of the networks."""
        count, n = self.some, self.setting.ensemble.n_train
        signs = np.random.default_rng([self.seed, hidden_width(net)]).choice([-1.0, 1.0], size=(count, n))
        v = 0.1 * signs
        changed = self.sample(net, count, done, y=self.y + v, name="labels").outputs
        return v, changed[:, :, :n] - sample.outputs[:count, :, :n]


def _stoppable(update: Callable[[int], object]) -> tuple[Done, Event]:
    """`update` for several threads, and an event after which it raises in each of them."""
    lock, stop = Lock(), Event()

    def done(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("stopped because another width was")
        with lock:
            update(count)

    return done, stop


def _step_errors(setting: Setting, flows: _Flows, net: Network, done: Done) -> dict[tuple[str, float], float]:
    """|q(step) - q(step/2)|·4/3, the error of a second-order step, of the same networks; 0 of responses to the labels."""
    coarse = flows.sample(net, flows.some, lambda _: None, name="coarse")
    fine = flows.sample(net, flows.some, done, step=flows.step / 2, name="half")
    times = np.array(flows.taus)
    no_response = (np.ones((2, setting.ensemble.n_train)), np.zeros((2, len(times), setting.ensemble.n_train)))
    pair = [rows_of(setting, sample, no_response, times, hidden_width(net)) for sample in (coarse, fine)]
    return {
        (a.quantity, a.tau): abs(a.finite - b.finite) * 4 / 3
        for a, b in zip(*pair, strict=True)
        if np.isfinite(a.finite - b.finite)
    }
