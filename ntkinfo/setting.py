"""What quantities may ask for, under one name each, and what of it an ensemble has on one set of points.

A quantity's needs are its parameters without default; what it takes beyond them is handed over where it is known. One name
has one meaning in all quantities: that of :data:`GLOSSARY`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from dualib.core.arrays import columns, positive
from dualib.core.estimate import Estimates
from dualib.core.files import versions
from dualib.core.progress import progress_bar
from dualib.core.quantity import Quantity, Relation, needs, takes
from dualib.core.typing import ArrayLike, Float, FloatArray, IntArray
from ntkinfo.ensemble import Ensemble, Points
from ntkinfo.labels import check_not_classes, is_discrete
from ntkinfo.laws import Collapse, Law, Marginals, Rounding
from ntkinfo.quantities import REGISTRY, Condition, DataSets
from ntkinfo.quantities.labels import class_entropy, gaussian_plug_in_entropy
from ntkinfo.quantities.registry import Bound, bound_of, loss_of
from ntkinfo.quantities.scalar_quadrature import Informations, informations_of
from ntkinfo.quantities.spectra import is_linear
from ntkinfo.quantities.third_kernel import conditions_of
from ntkinfo.rounding import moved_law, moved_modes
from ntkinfo.times import as_times_or_default

GLOSSARY = {
    "ensemble": "the ensemble",
    "tau": "times of the loss ½‖f - Y‖², a scalar or (T,)",
    "law": "the law of the outputs at each point by itself, output noise included",
    "prior": "that law at the start",
    "joint_law": "the law of the outputs at all points together, output noise included",
    "joint_prior": "that law at the start",
    "y": "the labels at the points, (m, k)",
    "entropy_y": "H(Y) in nats",
    "label_noise": "s², the variance of each training label about its mean",
    "weight_noise": "σ², the variance of the noise added to each parameter",
    "seed": "the seed of the random draws",
    "kernels": "the kernels of a network",
    "y_train": "the labels at the training points, (n, k)",
    "noise": "the variance of the observation noise",
    "ridge": "the ridge of a training without end",
    "label_covariance": "the covariance of each output's training labels, (n, n)",
}
"""What each name means that quantities ask for. A :class:`Setting` offers the first eleven; the others are given by hand."""


@dataclass(frozen=True)
class Column(Quantity):
    """A quantity as one setting has it: its points and numbers filled in, its rank as a bound what it is there.

    Attributes
    ----------
    output_noise : float or None
        Variance of the noise added to each output; None for what is no function of noisy outputs.
    """

    output_noise: float | None = None

    @property
    def legend(self) -> str:
        """The symbol, which sort of bound it is, and the output noise where there is some."""
        noise = f", output noise {self.output_noise:g}" if self.output_noise else ""
        return f"{self.symbol} ({self.relation}{noise})"


@dataclass(frozen=True, eq=False)
class Setting:
    """An ensemble at given times, its outputs taken at one set of points.

    Parameters
    ----------
    ensemble : Ensemble
    tau : array, shape (T,), or None
        Times; None for :func:`ntkinfo.times.default_times`.
    on : {"test", "train"} or None
        The points; None for the test points where there are some.
    y : array, shape (m, k), or None
        Labels at the test points. The training points have theirs.
    entropy_y : float or None
        H(Y) in nats, if it is known.
    label_noise, output_noise, weight_noise : float
        Variances of the labels about their means, of noise added to each output, and to each parameter.
    seed : int
        Seed of the random draws.

    Raises
    ------
    ValueError
        If labels do not match (both shapes are printed), or a time or a variance is out of range.
    """

    ensemble: Ensemble
    tau: ArrayLike | None = None
    on: Points | None = None
    y: ArrayLike | None = None
    entropy_y: float | None = None
    label_noise: float = 1.0
    output_noise: float = 0.0
    weight_noise: float = 1e-2
    seed: int = 0
    entropy: float | None = field(init=False)

    def __post_init__(self) -> None:
        if self.on not in ("test", "train", None):
            raise ValueError(f'on must be "test" or "train", got {self.on!r}')
        check_not_classes(self.ensemble.y_train)
        for name in ("label_noise", "output_noise", "weight_noise"):
            positive(getattr(self, name), name, zero=name != "weight_noise")
        on: Points = self.on or ("test" if self.ensemble.n_test else "train")
        y = _labels(self.ensemble, on, self.y)
        checked: dict[str, object] = {"on": on, "y": y, "entropy": _entropy(y, on, self.entropy_y)}
        checked["tau"] = None if self.tau is None else as_times_or_default(self.ensemble, self.tau)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @cached_property
    def times(self) -> Float[np.ndarray, " t"]:
        """The times: those given, or the default ones, which need the eigenvalues of Θ."""
        return as_times_or_default(self.ensemble, self.tau)

    @property
    def labels(self) -> Float[np.ndarray, "m k"] | None:
        """The labels at the points."""
        return None if self.y is None else np.asarray(self.y, dtype=np.float64)

    @cached_property
    def conditions(self) -> frozenset[Condition]:
        """What is met here."""
        e, classes = self.ensemble, self.labels is not None and is_discrete(self.labels)
        met = conditions_of(e) | {
            Condition.LINEAR: is_linear(e),
            Condition.ONE_OUTPUT: e.n_outputs == 1,
            Condition.SEVERAL_OUTPUTS: e.n_outputs > 1,
            Condition.TEST_POINTS: e.n_test > 0,
            Condition.TEST_COVARIANCES: e.kernels.has_test_covariances,
            Condition.FRESH_POINTS: self.on == "test",
            Condition.CLEAN_OUTPUTS: self.output_noise == 0,
            Condition.REAL_LABELS: not classes,
            Condition.CLASS_LABELS: classes,
            Condition.HALVES: self._n_points >= 2 * (e.n_outputs + 1),
            Condition.KNOWN_ENTROPY: self.entropy_y is not None or classes,
        }
        return frozenset(condition for condition, yes in met.items() if yes)

    @property
    def _n_points(self) -> int:
        return self.ensemble.n_test if self.on == "test" else self.ensemble.n_train

    @cached_property
    def _given(self) -> dict[str, object]:
        """What is offered at all times."""
        given = {
            "ensemble": self.ensemble,
            "tau": self.times,
            "label_noise": self.label_noise,
            "weight_noise": self.weight_noise,
            "seed": self.seed,
            "prior": self._prior(),
            "y": self.labels,
            "entropy_y": self.entropy,
        }
        return {name: value for name, value in given.items() if value is not None}

    def meets(self, quantity: Quantity) -> bool:
        """Whether a quantity of the registry has a value here, and all it needs."""
        laws = {"law", "joint_law", "joint_prior"} if self.on == "test" else {"law"}
        return quantity.only <= self.conditions and laws.union(self._given).issuperset(
            needs(REGISTRY.function(quantity.name))
        )

    def left_out(self) -> dict[str, str]:
        """The quantities without a value here that would have one for other kernels, labels or options, and why they have none."""
        unmet = {q.name: [str(c) for c in Condition if c in q.only - self.conditions] for q in REGISTRY.quantities}
        if self.labels is not None and self.entropy is None:
            for name, reasons in unmet.items():
                if "entropy_y" in needs(REGISTRY.function(name)):
                    reasons.append(
                        "labels that vary in every output: without entropy_y, H(Y) is that of a Gaussian with their covariance"
                    )
        return {name: "; ".join(reasons) for name, reasons in unmet.items() if reasons}

    def column(self, quantity: Quantity) -> Column:
        """The record of a quantity as it is here."""
        taken = takes(REGISTRY.function(quantity.name))
        unmet = [condition for condition in Condition if condition in quantity.provided - self.conditions]
        numbers = [f"{name} = {getattr(self, name):g}" for name in ("label_noise", "weight_noise") if name in taken]
        record = {f.name: getattr(quantity, f.name) for f in fields(Quantity)}
        record["of"] = quantity.of.replace("the points", f"the {self._n_points} {_NAMES[str(self.on)]} points")
        record["assumption"] = "; ".join(filter(None, (quantity.assumption, *numbers, *unmet)))
        if unmet:
            record["relation"] = Relation.ESTIMATE
            record["holds_for"] = DataSets.ONE if quantity.holds_for is DataSets.MEAN else quantity.holds_for
        noisy = {"law", "joint_law"} & set(needs(REGISTRY.function(quantity.name)))
        return Column(**record, output_noise=self.output_noise if noisy else None)

    @cached_property
    def distinct(self) -> tuple[IntArray, IntArray]:
        """The first of the times that have one law to its last bit, as all late ones have, and of each time the place of its law."""
        spectrum, e = self.ensemble.spectrum(self.times), self.ensemble
        rows = spectrum.response
        if self.on == "train" or (e.twins >= 0).any():  # whose law is known beyond it
            rows = np.hstack([rows, spectrum.log_residual])
        places: dict[bytes, int] = {}
        of = np.array([places.setdefault(row.tobytes(), len(places)) for row in rows])
        return np.unique(of, return_index=True)[1], of

    def parts(self, *, progress: bool | None = None) -> Iterator[tuple[IntArray, IntArray, Mapping[str, object]]]:
        """What is offered, part by part, with the times it is of and the place of each time in it: joint laws batch by batch, the
        laws of single points, and all that depends on the time itself.
        """
        first, of = self.distinct
        everything = np.arange(of.size)
        law = None
        if self.on == "train" or not self.ensemble.kernels.has_test_covariances:
            on: Points = "train" if self.on == "train" else "test"
            law = self.ensemble.marginals(self.times[first], on=on).with_output_noise(self.output_noise)
        else:
            joint_prior, found = self._joint_prior(), []
            with progress_bar(first.size, "times", progress) as done:
                for batch, joint in self.ensemble.laws(self.times[first]):
                    if self.output_noise:
                        joint = joint.with_output_noise(self.output_noise)
                    (where,) = np.nonzero((of >= batch.start) & (of < batch.stop))
                    yield where, of[where] - batch.start, self._given | {"joint_law": joint, "joint_prior": joint_prior}
                    found.append(joint.marginals())
                    done(len(joint.mean))
                    del joint  # before the next ones are made
            law = _joined(found)
        given = {name: value for name, value in self._given.items() if name not in ("ensemble", "tau")}
        yield everything, of, given | _of_points(law)
        yield everything, everything, self._given | {"law": law[of]}

    def value(self, quantity: Quantity, offered: Mapping[str, object]) -> FloatArray | Estimates | None:
        """A quantity from one of the :meth:`parts`; None where another one has what it needs."""
        given = self._arguments(quantity, offered)
        if given is None:
            return None
        found = REGISTRY.function(quantity.name)(**given)
        return found if isinstance(found, Estimates) else np.asarray(found, dtype=np.float64)

    def bound(self, quantity: Quantity, offered: Mapping[str, object]) -> Bound | None:
        """The same of a quantity with its rounding on its side, and how much of it that is."""
        given = self._arguments(quantity, offered)
        return None if given is None else bound_of(quantity.name)(**given)

    @staticmethod
    def loss(quantity: Quantity, offered: Mapping[str, object], value: FloatArray) -> FloatArray:
        """The error that a quantity has as a difference of larger numbers, whatever its law's."""
        loss = loss_of(quantity.name)
        if loss is None:
            return np.zeros_like(value)
        return loss(value, **{name: offered[name] for name in takes(loss) if name in offered})

    @staticmethod
    def _arguments(quantity: Quantity, offered: Mapping[str, object]) -> dict[str, object] | None:
        function = REGISTRY.function(quantity.name)
        if _part(needs(function)) != _part(offered):
            return None
        return {name: offered[name] for name in takes(function) if name in offered}

    def moved(self, offered: Mapping[str, object], sample: int) -> dict[str, object]:
        """What is offered in one of the :meth:`parts`, moved by its rounding; see :mod:`ntkinfo.rounding`."""
        found: dict[str, Any] = {} if _part(offered) != "tau" else {"ensemble": moved_modes(self.ensemble, sample)}
        for name in ("law", "joint_law"):
            law = offered.get(name)
            if isinstance(law, Law | Marginals):
                found[name] = moved_law(law, sample)
        known = offered.get("nodes")
        if isinstance(known, Informations):
            found["informations"] = known.of(found["law"])
        return {**offered, **found}

    def settings(self) -> dict[str, object]:
        """All that the values depend on, in words and numbers."""
        e = self.ensemble
        return {
            **{
                name: getattr(e, name)
                for name in ("n_train", "n_test", "n_outputs", "mode", "centred", "ridge", "rank")
            },
            "learning_rule": repr(e.learning_rule),
            "clipped_eigenvalues": e.n_clipped,
            "dropped_below": e.dropped_below,
            "smallest_eigenvalue": float(e.eigenvalues[0]),
            "largest_eigenvalue": float(e.eigenvalues[-1]),
            "on": str(self.on),
            "n_times": int(self.times.size),
            **{name: float(getattr(self, name)) for name in ("label_noise", "output_noise", "weight_noise")},
            "entropy_y": None if self.entropy_y is None else float(self.entropy_y),
            "seed": int(self.seed),
            **_of_finite_networks(e.kernels.settings),
            "units": "nats",
            "versions": versions(),
        }

    def _prior(self) -> Marginals:
        e = self.ensemble
        variance = np.diagonal(e.kernels.nngp) if self.on == "train" else e.test_variance("nngp")
        start = Marginals(np.zeros((len(variance), e.n_outputs)), np.zeros_like(variance) if e.centred else variance)
        return start.with_output_noise(self.output_noise)

    def _joint_prior(self) -> Law:
        e, kernel = self.ensemble, self.ensemble.test_covariances("nngp_test")
        covariance = np.zeros_like(kernel) if e.centred else kernel
        return Law(np.zeros((len(kernel), e.n_outputs)), covariance).with_output_noise(self.output_noise)


def _of_finite_networks(settings: Mapping[str, object]) -> dict[str, object]:
    """Of kernels that are means over finite networks, over how many, and their relative standard errors."""
    return {f"kernels_{name}": settings[name] for name in ("replicas", "relative_error") if name in settings}


def _part(names: Iterable[str]) -> str:
    """The part of :meth:`Setting.parts` that offers those names, or in which a quantity with those needs is found."""
    if "joint_law" in names:
        return "joint_law"
    return "law" if "law" in names and "tau" not in names else "tau"


_NAMES = {"test": "test", "train": "training"}


def _labels(ensemble: Ensemble, on: Points, y: ArrayLike | None) -> FloatArray | None:
    if on == "train":
        return ensemble.y_train
    ensemble.need_test()
    if y is None:
        return None
    labels = columns(y, "y_test", ensemble.n_test, f"{ensemble.n_test} test points")
    if labels.shape[1] != ensemble.n_outputs:
        raise ValueError(
            f"y_test has shape {np.shape(y)}, but y_train of shape {ensemble.y_train.shape} has {ensemble.n_outputs} outputs"
        )
    return labels


def _entropy(y: FloatArray | None, on: Points, given: float | None) -> float | None:
    """H(Y): as given, else of the classes or of a Gaussian with the labels' covariance; None without labels, or where those are constant."""
    if y is None or given is not None:
        return given
    if is_discrete(y):
        return class_entropy(y)
    spread = y - y.mean(axis=0)
    if np.linalg.matrix_rank(spread, tol=1e-12 * float(np.linalg.norm(y))) == y.shape[1]:
        return gaussian_plug_in_entropy(y)
    warnings.warn(
        f"the {on} labels of shape {y.shape} are constant or linearly dependent, so that no Gaussian entropy H(Y) can be had "
        "from them: columns that need it are left out; give entropy_y, or more labels",
        stacklevel=5,
    )
    return None


def _joined(laws: list[Marginals]) -> Marginals:
    """The laws of batches of times as one, with the rounding and the collapse where all have them."""
    roundings = [law.rounding for law in laws if law.rounding is not None]
    rounding = Rounding(*_stacked(roundings, "mean", "variance")) if len(roundings) == len(laws) else None
    collapses, collapse = [law.collapse for law in laws if law.collapse is not None], None
    if len(collapses) == len(laws):
        errors = [c.rounding for c in collapses if c.rounding is not None]
        known = Rounding(*_stacked(errors, "mean", "variance")) if len(errors) == len(collapses) else None
        shortfall, spread, log_size = _stacked(collapses, "shortfall", "spread", "log_size")
        collapse = Collapse(collapses[0].target, shortfall, spread, log_size, known)
    mean, variance = _stacked(laws, "mean", "variance")
    return Marginals(mean, variance, rounding, collapse)


def _of_points(law: Marginals) -> dict[str, object]:
    """The law at each point by itself, and for one output the quadrature that two quantities share."""
    if law.mean.shape[-1] > 1:
        return {"law": law}
    found = informations_of(law)
    return {"law": law, "informations": found.values, "nodes": found}


def _stacked(parts: Sequence[object], *names: str) -> Iterator[FloatArray]:
    """The arrays of those names of all parts, one after the other in time."""
    return (np.concatenate([getattr(part, name) for part in parts]) for name in names)
