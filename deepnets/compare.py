r"""Finite networks against the theory of infinitely wide ones: every quantity, with standard errors and a verdict.

Ensembles of finite networks are trained by gradient flow (:mod:`deepnets.gradient_flow`) at several widths N. A quantity
agrees with its prediction q_∞ if the networks' values q_N = a + b/N, fitted over the widths with their errors, have a = q_∞
within the errors: what is left is then a correction of order 1/width. Errors of the time step are measured apart, by halving
the step for the same networks, and added; so is what the line leaves out, 1/width² and on, by leaving out the narrowest width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc, ndtri

import ntkinfo
from deepnets.compare_rows import NOT_MEASURED, Row, Setting, rows_of
from deepnets.gradient_flow import FlowNetwork, FlowSample, gradient_flow
from deepnets.start_law import start_law_sample, start_sample
from deepnets.width_exponents import Deviations, Exponent, deviations_of, width_exponents
from dualib import _io
from dualib.measures import FloatArray

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.0027
"""Probability with which a quantity that agrees is said not to (three standard errors), shared among its times."""

_KEPT = 100  # networks in a file
_KERNELS = 50  # kernels at the start for each network that is trained
_PAIRS = 400  # networks trained with their mirror images, at most, for the exponent of the bias


@dataclass(frozen=True)
class Verdict:
    """What the widths together say of one quantity.

    Attributes
    ----------
    quantity : name.
    verdict : "agrees at 1/width", "does not", "holds" or "is broken" (bounds), "not at these widths" (which are too small for
        the correction to be of order 1/width), "not measurable".
    detail : numbers or reason behind it.
    """

    quantity: str
    verdict: str
    detail: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison.

    Attributes
    ----------
    rows : every quantity at every time and width.
    step_errors : {(quantity, tau): error of the time step}, measured at the smallest width.
    exponents : of the width.
    settings : of everything.
    """

    rows: tuple[Row, ...]
    step_errors: dict[tuple[str, float], float]
    exponents: tuple[Exponent, ...]
    settings: dict[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """One row a quantity, time and width."""
        import pandas as pd

        data = [
            {**asdict(r), "step_error": self.step_errors.get((r.quantity, r.tau), 0.0), "z": r.z} for r in self.rows
        ]
        return pd.DataFrame(data)

    def quantities(self) -> tuple[str, ...]:
        """Names of what was compared, in order."""
        return tuple(dict.fromkeys(r.quantity for r in self.rows))

    def select(self, quantity: str, tau: float | None = None) -> list[Row]:
        """Rows of one quantity (at one time)."""
        return [r for r in self.rows if r.quantity == quantity and (tau is None or r.tau == tau)]

    def extrapolated(self, quantity: str, tau: float) -> tuple[float, float, float]:
        """(a, its error, p-value of the fit) of a + b/width.

        The error is the standard error, that of the time step and, of four widths and more, that of the line, added in quadrature;
        the line's is how far a moves when the narrowest width is left out.
        """
        chosen = sorted(self.select(quantity, tau), key=lambda r: r.width)
        step = self.step_errors.get((quantity, tau), 0.0)
        a, error, p = _line(chosen)
        beyond = a - _line(chosen[1:])[0] if len(chosen) > 3 else 0.0
        return a, float(np.linalg.norm([error, step, beyond])), p

    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict a quantity: those compared, then those of ntkinfo that were not, with the reason."""
        found = [self._verdict(name) for name in self.quantities()]
        known = {v.quantity for v in found}
        missing = [q.name for q in ntkinfo.quantities() if q.name not in known]
        return (
            *found,
            *(Verdict(m, "not measurable", NOT_MEASURED.get(m, "no finite estimate is known")) for m in missing),
        )

    def _verdict(self, name: str) -> Verdict:
        times = list(dict.fromkeys(r.tau for r in self.select(name)))
        limit = -float(ndtri(LEVEL / 2 / len(times)))
        worst, worst_text, agrees, needed = -np.inf, "", True, 0.0
        relation = self.select(name)[0].relation
        for tau in times:
            a, error, p = self.extrapolated(name, tau)
            infinite = self.select(name, tau)[0].infinite
            if not np.isfinite(infinite):
                continue
            excess = {"=": abs(a - infinite), "<=": infinite - a, ">=": a - infinite}[relation]
            z = excess / error if error > 0 else np.inf * np.sign(excess)
            rows = self.select(name, tau)
            if z >= limit and max(r.width for r in rows) < rows[0].least_width:
                needed = max(needed, rows[0].least_width)
            else:
                agrees &= bool(z < limit)
            if z > worst:
                worst = z
                fit = "" if np.isnan(p) else f", fit p = {p:.2g}"
                worst_text = f"τ = {tau:g}: {a:.5g} ± {error:.2g} at infinite width, predicted {infinite:.5g}{fit}"
        said = ("agrees at 1/width", "does not") if relation == "=" else ("holds", "is broken")
        if agrees and needed:
            return Verdict(name, "not at these widths", f"{worst_text}; takes widths above {needed:.1g}")
        return Verdict(name, said[0] if agrees else said[1], worst_text or "infinite at every time")

    def save(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        steps = [{"quantity": q, "tau": t, "error": v} for (q, t), v in self.step_errors.items()]
        record = {
            "rows": [asdict(r) for r in self.rows],
            "step_errors": steps,
            "exponents": [asdict(x) for x in self.exponents],
            "settings": self.settings,
            "versions": _io.versions(),
        }
        _io.write_json(path, record)


def _line(rows: Sequence[Row]) -> tuple[float, float, float]:
    """a of the line a + b/width through the rows, its standard error, and the p-value of the fit."""
    value, error, inverse = np.array([(r.finite, r.std_error, 1 / r.width) for r in rows]).T
    if len(rows) == 1:
        return float(value[0]), float(error[0]), np.nan
    design = np.stack([np.ones(len(rows)), inverse], axis=1)
    scaled = design / error[:, None]
    covariance = np.linalg.inv(scaled.T @ scaled)
    a, b = covariance @ scaled.T @ (value / error)
    misfit = (((value - design @ (a, b)) / error) ** 2).sum()
    p = float(chdtrc(len(rows) - 2, misfit)) if len(rows) > 2 else np.nan
    return float(a), float(np.sqrt(covariance[0, 0])), p


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
    dataset : by default the Gaussian task of 4 training and 12 test points in 3 dimensions. Small sets leave a quantity few
        dimensions, in which a thousand networks say much.
    hidden_layers, activation, w_std, b_std : of the network; the activation "erf", "sin", "tanh", "gelu" or "linear".
    widths : at least 2 different ones, for verdicts at least 3.
    replicas : networks of the widest width, at least 100; narrower ones have more, up to eight times as many.
    taus : times of the loss ½‖f - Y‖².
    step : of time; by default 0.1 over the largest eigenvalue of Θ.
    seed : of the networks.
    out : a directory in which finished batches of networks are kept: the same call goes on where it was left.
    progress : show a bar; by default only on a terminal.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError: a setting out of range, or a directory that holds a comparison with other settings.
    """
    data = dataset if dataset is not None else ntkinfo.gaussian_task(4, 12, x_dim=3, seed=seed)
    chosen, times = tuple(sorted(set(map(int, widths)))), tuple(sorted(set(map(float, taus))))
    if len(chosen) < 2 or chosen[0] < 2:
        raise ValueError(f"widths must be at least two different numbers of at least 2, got {tuple(widths)}")
    if replicas < 100:
        raise ValueError(f"replicas must be at least 100 for the jackknife's groups, got {replicas}")
    if data.y_train.shape[1] != 1:
        raise ValueError(f"the finite networks have one output, but the labels have shape {data.y_train.shape}")
    nets = [FlowNetwork(hidden_layers, width, activation, w_std, b_std) for width in chosen]
    setting = _setting(data, hidden_layers, activation, w_std, b_std)
    h = step if step is not None else 0.1 / float(setting.ensemble.eigenvalues[-1])
    settings = {
        "hidden_layers": hidden_layers, "activation": activation, "w_std": w_std, "b_std": b_std, "widths": list(chosen),
        "replicas": replicas, "taus": list(times), "step": h, "seed": seed, "dataset": data.settings,
        "networks_in_a_file": _KEPT,
    }  # fmt: skip
    flows = _Flows(
        setting, np.concatenate([data.x_train, data.x_test]), data.y_train[:, 0], times, h, seed, out, settings
    )
    counts = {net.width: replicas * min(8, chosen[-1] // net.width) for net in nets}
    with _io.progress_bar(flows.work(list(counts.values()), replicas), "finite networks", progress) as update:
        done, stop = _stoppable(update)

        def one_width(net: FlowNetwork) -> tuple[list[Row], Deviations]:
            sample = flows.sample(net, counts[net.width], done)
            rows = rows_of(setting, sample, flows.perturbed(net, sample, replicas, done), np.array(times), net.width)
            pairs = min(replicas, _PAIRS)
            mirrored = flows.sample(net, pairs, done, mirrored=True, name="mirrored")
            start = start_sample(net, flows.x, replicas=pairs, seed=seed)
            kernels = start_law_sample(net, data.x_train, replicas=_KERNELS * replicas, seed=seed)
            return rows, deviations_of(net, flows.x, flows.y, times, h, sample, mirrored, start, kernels)

        # Compilation and training leave Python's lock; a thread a core, and the widest networks, which take longest, first.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(one_width, net) for net in reversed(nets)]
            try:
                for ended in wait(futures, return_when=FIRST_EXCEPTION).done:
                    ended.result()
            except BaseException:  # Ctrl-C included: the other widths end after the networks under way
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
            found = [future.result() for future in reversed(futures)]
        step_errors = _step_errors(setting, flows, nets[0], replicas, np.array(times), done)
    rows, deviations = [r for part, _ in found for r in part], [d for _, d in found]
    exponents = width_exponents(deviations, hidden_layers, seed)
    return Comparison(tuple(rows), step_errors, exponents, settings)


def _setting(data: ntkinfo.Dataset, depth: int, activation: str, w_std: float, b_std: float) -> Setting:
    ntkinfo.Activation.named(activation).require_third_kernel()
    found = ntkinfo.kernels.dense(
        data.x_train, data.x_test, hidden_layers=depth, activation=activation, w_std=w_std, b_std=b_std
    )
    assert found.omega is not None
    entropy = data.entropy_y if data.entropy_y is not None else ntkinfo.gaussian_plug_in_entropy(data.y_test)
    noise = data.label_noise if data.label_noise is not None else 1.0
    return Setting(ntkinfo.Ensemble(found, data.y_train), found.omega, data.y_test, entropy, noise)


class _Flows:
    """Samples of networks, in batches that fit the memory, kept on disk where a directory is given."""

    def __init__(
        self, setting: Setting, x: FloatArray, y: FloatArray, taus: tuple[float, ...], step: float, seed: int,
        out: str | Path | None, settings: dict[str, Any],
    ) -> None:  # fmt: skip
        self.setting, self.x, self.y, self.taus, self.step, self.seed = setting, x, y, taus, step, seed
        self.path = None if out is None else _io.writable_directory(out)
        if self.path is not None:
            _same_settings(self.path / "flows.json", settings)

    def batches(self, replicas: int) -> Iterator[tuple[int, int]]:
        for first in range(0, replicas, _KEPT):
            yield first, min(_KEPT, replicas - first)

    def work(self, counts: Sequence[int], replicas: int) -> int:
        """Networks to train: all, mirror images, some of each width with other labels, of the narrowest with half the step."""
        return sum(counts) + len(counts) * min(replicas, _PAIRS) + (len(counts) + 1) * _some(replicas)

    def sample(self, net: FlowNetwork, replicas: int, done: Any, *, step: float | None = None, y: FloatArray | None = None,
               mirrored: bool = False, name: str = "flow") -> FlowSample:  # fmt: skip
        parts = []
        for first, count in self.batches(replicas):
            labels = self.y if y is None else y[first : first + count]
            path = None if self.path is None else self.path / f"{name}_{net.width}_{first}.npz"
            part = None
            if path is not None and path.exists():
                with np.load(path) as file:
                    part = FlowSample(*(file[f.name] for f in fields(FlowSample)))
            if part is None or part.n_networks < count:  # a last file, of a call with fewer networks
                part = gradient_flow(
                    net, self.x, labels, self.taus, step or self.step, replicas=count, seed=self.seed, first=first,
                    mirrored=mirrored, done=done,
                )  # fmt: skip
                if path is not None:
                    _io.write_npz(path, vars(part))
            else:
                done(count)
            parts.append(part.part(np.arange(count)))
        return FlowSample.concatenate(parts)

    def perturbed(
        self, net: FlowNetwork, sample: FlowSample, replicas: int, done: Any
    ) -> tuple[FloatArray, FloatArray]:
        """Random changes of the labels, and the changes of the training outputs they make, for some of the networks."""
        count, n = _some(replicas), self.setting.n
        signs = np.random.default_rng([self.seed, net.width]).choice([-1.0, 1.0], size=(count, n))
        v = 0.1 * signs
        changed = self.sample(net, count, done, y=self.y + v, name="labels").outputs
        return v, changed[:, :, :n] - sample.outputs[:count, :, :n]


def _stoppable(update: Callable[[int], object]) -> tuple[Callable[[int], None], Event]:
    """`update` for several threads, and an event after which it raises in each of them."""
    lock, stop = Lock(), Event()

    def done(count: int) -> None:
        if stop.is_set():
            raise InterruptedError("stopped because another width was")
        with lock:
            update(count)

    return done, stop


def _some(replicas: int) -> int:
    return max(100, replicas // 10)


def _same_settings(path: Path, settings: dict[str, Any]) -> None:
    import json

    new = json.loads(json.dumps(_io._plain(settings)))
    ignored = ("widths", "replicas")  # batches of other widths and sizes can be told by their names
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        differ = [k for k in {**old, **new} if k not in ignored and old.get(k) != new.get(k)]
        if old.get("replicas") != new["replicas"]:
            differ.append("replicas")
        if differ:
            changes = "; ".join(f"{k}: {old.get(k)!r} there, {new.get(k)!r} now" for k in differ)
            raise ValueError(
                f"{path.parent} holds a comparison with other settings ({changes}): choose another directory"
            )
    _io.write_json(path, settings)


def _step_errors(
    setting: Setting, flows: _Flows, net: FlowNetwork, replicas: int, taus: FloatArray, done: Any
) -> dict[tuple[str, float], float]:
    """|q(step) - q(step/2)|·4/3, the error of a second-order step, of the same networks."""
    count = _some(replicas)
    coarse = flows.sample(net, count, lambda _: None, name="coarse")
    fine = flows.sample(net, count, done, step=flows.step / 2, name="half")
    n = setting.n
    zero = (np.ones((1, n)), np.zeros((1, len(taus), n)))
    pair = [rows_of(setting, s, zero, taus, net.width) for s in (coarse, fine)]
    return {
        (a.quantity, a.tau): abs(a.finite - b.finite) * 4 / 3
        for a, b in zip(*pair, strict=True)
        if np.isfinite(a.finite - b.finite) and a.quantity not in ("degrees_of_freedom", "expected_optimism")
    }
