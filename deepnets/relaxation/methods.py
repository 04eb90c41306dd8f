r"""The methods of relaxation as settings.

With the mean training loss L(θ), its value ε = L(θ₀) where a relaxation begins, N training patterns, P parameters, and one
prior :math:`e^{-λ\|θ\|^2/2}` for all that have one. [shwartzziv2017]_ (section 4) announces such methods and defines none:
these are the readings of "Monte Carlo relaxation" and of "IB iterations with stochastic relaxation" that can be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

from deepnets.training.settings import Optimiser
from dualib.core.arrays import choice, positive, whole

NEUTRAL = "neutral"
OF_SGD = "sgd"
OWN = "own"


class Law(StrEnum):
    """What a Metropolis chain samples."""

    CONSTRAINED = "constrained"
    """The prior on the set L ≤ ε."""
    GIBBS = "gibbs"
    """exp(−κ N L) times the prior; κ = 1 is the Bayesian posterior of a cross-entropy."""
    GREEDY = "greedy"
    """Nothing: a step is kept if L does not rise. Random search, for comparison; it is no relaxation."""


class Noise(StrEnum):
    """What drives a Langevin chain."""

    ISOTROPIC = "isotropic"
    MINIBATCH = "minibatch"
    """Gradients of random minibatches less the full one, scaled to the variance of the isotropic noise."""


class TargetKind(StrEnum):
    """What the activations of a layer are drawn to."""

    BOTTLENECK = "ib"
    """The mean of the cells' centroids under the bottleneck's encoder."""
    CLASS_MEANS = "class_means"
    """The mean activation of the pattern's class: the control without a bottleneck."""
    SHUFFLED = "shuffled"
    """As the first, with the cells' labels exchanged at random: the control without the labels' geometry."""


class Rows(StrEnum):
    """The p(y|x) of a bottleneck step."""

    LABELS = "labels"
    """One-hot: D is then −log p(y_x|t), and the step depends on x through its label alone."""
    LAW = "law"
    """The task's p(y|x)."""


@dataclass(frozen=True)
class ContinueTraining:
    """Go on with gradient descent: the baseline.

    Attributes
    ----------
    optimiser : Optimiser or None
        None goes on with the run's own, with its state.
    learning_rate : float or None
        None takes the run's.
    batch_size : int or None
        None takes the run's, 0 full batches.

    Examples
    --------
    >>> ContinueTraining(learning_rate=0.01)
    ContinueTraining(optimiser=None, learning_rate=0.01, batch_size=None)
    """

    name: ClassVar[str] = "continue"

    optimiser: Optimiser | None = None
    learning_rate: float | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.optimiser is not None:
            object.__setattr__(self, "optimiser", Optimiser(choice(self.optimiser, "optimiser", Optimiser)))
        if self.learning_rate is not None:
            positive(self.learning_rate, "learning_rate")
        if self.batch_size is not None:
            whole(self.batch_size, "batch_size")

    @property
    def unchanged(self) -> bool:
        """Whether this is the run's own training, going on."""
        return self == ContinueTraining()


@dataclass(frozen=True)
class Metropolis:
    r"""Random changes of one layer at a time, θ_l + s_l ξ with ξ standard normal, accepted by the rule of Metropolis.

    The widths s_l are adapted to an acceptance of 30 % on the first tenth of the budget, at least 200 proposals a layer and at
    most half of the budget, and then frozen: only what follows has the law that is named.

    Attributes
    ----------
    kind : Law
    kappa : float
        κ of the Gibbs law.
    prior : "neutral" or float
        λ; neutral is λ = P/‖θ₀‖², under which the norm of θ₀ is typical.
    prior_factor : float
        Multiplies λ.

    Examples
    --------
    >>> Metropolis(kappa=2.0).prior
    'neutral'
    """

    name: ClassVar[str] = "metropolis"

    kind: Law = Law.CONSTRAINED
    kappa: float = 1.0
    prior: float | str = NEUTRAL
    prior_factor: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Law(choice(self.kind, "kind", Law)))
        positive(self.kappa, "kappa")
        positive(self.prior_factor, "prior_factor", zero=True)
        if self.prior != NEUTRAL:
            positive(self.prior, "prior", zero=True)


@dataclass(frozen=True)
class Langevin:
    r"""Full gradients and noise: θ ← θ − h∇L + √(2hT) ξ.

    Attributes
    ----------
    temperature : "sgd" or float
        T; "sgd" gives each replica the temperature at which the noise has the trace of SGD's,
        :func:`deepnets.relaxation.sgd_temperature`.
    sgd_learning_rate : float
        η of that SGD.
    step : float or None
        h; None takes 1/λ_max of each replica's loss at the start. A step of 2/λ_max or more is refused.
    noise : Noise
    friction : float or None
        γ of the underdamped equation with unit masses, integrated as BAOAB with the time step √(2h) [leimkuhler2013]_;
        None for the overdamped one.
    corrected : bool
        Accept or reject each overdamped step by Metropolis's rule, so that exp(−L/T) is the law exactly [roberts1996]_.

    Examples
    --------
    >>> Langevin(friction=0.1).temperature
    'sgd'
    """

    name: ClassVar[str] = "langevin"

    temperature: float | str = OF_SGD
    sgd_learning_rate: float = 0.1
    step: float | None = None
    noise: Noise = Noise.ISOTROPIC
    friction: float | None = None
    corrected: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise", Noise(choice(self.noise, "noise", Noise)))
        if self.temperature != OF_SGD:
            positive(self.temperature, "temperature", zero=not self.corrected)
        positive(self.sgd_learning_rate, "sgd_learning_rate")
        if self.step is not None:
            positive(self.step, "step")
        if self.friction is not None:
            positive(self.friction, "friction")
        if self.corrected and (self.friction is not None or self.noise is not Noise.ISOTROPIC):
            raise ValueError(
                "only overdamped steps with isotropic noise can be corrected: leave out friction and noise"
            )
        if self.friction is not None and self.noise is not Noise.ISOTROPIC:
            raise ValueError("underdamped steps take isotropic noise")


@dataclass(frozen=True)
class KickAndProject:
    """A random kick of all layers, θ_l + s rms(θ_l) ξ, then full-batch steps until L ≤ ε again; a kick that fails is undone.

    Attributes
    ----------
    scale : float
        s.
    steps : int
        At most so many steps a kick.
    step : float or None
        Their learning rate; None takes 1/λ_max of each replica's loss at the start.

    Examples
    --------
    >>> KickAndProject(scale=0.05)
    KickAndProject(scale=0.05, steps=20, step=None)
    """

    name: ClassVar[str] = "kick"

    scale: float = 0.03
    steps: int = 20
    step: float | None = None

    def __post_init__(self) -> None:
        positive(self.scale, "scale")
        whole(self.steps, "steps", 1)
        if self.step is not None:
            positive(self.step, "step")


@dataclass(frozen=True)
class BottleneckTargets:
    r"""Go on with the run's optimiser on :math:`L + c \sum_l E\|T_l(x) - s^*_l(x)\|^2 / d_l`, d_l the layer's units.

    The targets s* are of an iteration of the bottleneck. A layer's activations fall into cells t (bins) with centroids μ_t and p(y|t), counts + 0.1. Then

    .. math:: p_β(t|x) ∝ p(t) e^{-β D(p_x \| p(·|t))}, \qquad s^*(x) = \sum_t p_β(t|x) μ_t

    Attributes
    ----------
    layers : tuple of int
        Which hidden layers, as indices; negative ones count from the last hidden layer.
    beta : "own" or float
        "own" takes the β at which the layer satisfies the bottleneck equations best, :func:`deepnets.planes.fit_beta`.
    weight : float
        c.
    targets : TargetKind
    rows : Rows
        With one-hot labels the step is a loss towards class centres; only the task's own law makes it a bottleneck's.
    refresh : int
        Epochs between two iterations.

    Examples
    --------
    >>> BottleneckTargets(beta=10.0).layers
    (-2, -1)
    """

    name: ClassVar[str] = "targets"

    layers: tuple[int, ...] = (-2, -1)
    beta: float | str = 5.0
    weight: float = 0.3
    targets: TargetKind = TargetKind.BOTTLENECK
    rows: Rows = Rows.LABELS
    refresh: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(int(layer) for layer in self.layers))
        if not self.layers:
            raise ValueError("name at least one layer")
        object.__setattr__(self, "targets", TargetKind(choice(self.targets, "targets", TargetKind)))
        object.__setattr__(self, "rows", Rows(choice(self.rows, "rows", Rows)))
        if self.beta != OWN:
            positive(self.beta, "beta", zero=True)
        positive(self.weight, "weight")
        whole(self.refresh, "refresh", 1)


Method = ContinueTraining | Metropolis | Langevin | KickAndProject | BottleneckTargets
METHODS: dict[str, type[Method]] = {
    m.name: m for m in (ContinueTraining, Metropolis, Langevin, KickAndProject, BottleneckTargets)
}


def method_settings(method: Method) -> dict[str, Any]:
    """A method as a plain dictionary."""
    return {"method": method.name, **asdict(method)}


def method_from_settings(settings: Mapping[str, Any]) -> Method:
    """The inverse of :func:`method_settings`.

    Raises
    ------
    ValueError
        If there is no such method (the names are listed), or it has no such setting.
    """
    kind = METHODS[choice(settings["method"], "method", METHODS)]
    given = {name: value for name, value in settings.items() if name != "method"}
    known = [f.name for f in fields(kind)]
    for name in given:
        choice(name, f"setting of {kind.name}", known)
    return kind(**given)


def label(method: Method) -> str:
    """A short name with what differs from the defaults, for tables and legends."""
    changed = [f"{f.name}={getattr(method, f.name)}" for f in fields(method) if getattr(method, f.name) != f.default]
    return method.name + (f" ({', '.join(changed)})" if changed else "")
