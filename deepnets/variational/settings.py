"""The settings of a variational fit: the families of encoder, marginal and decoder, and how they are optimised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from dualib.core.arrays import choice, positive, whole
from dualib.core.result import Result


class EncoderKind(StrEnum):
    """What e(z|x) is."""

    MLP = "mlp"
    """Normal with diagonal covariance, mean and width computed from x by a network with ReLU."""
    GAUSSIAN = "gaussian"
    """Normal with diagonal covariance, a mean and a width of its own for every pattern."""
    CATEGORICAL = "categorical"
    """One of `code_dim` states, with probabilities of its own for every pattern."""


class MarginalKind(StrEnum):
    """What m(z) is; of a categorical code it is a free vector."""

    STANDARD = "standard"
    """N(0, I)."""
    DIAGONAL = "diagonal"
    """One normal with learned mean and diagonal covariance."""
    MIXTURE = "mixture"
    """A learned mixture of `components` such normals."""


class DecoderKind(StrEnum):
    """What d(y|z) is; of a categorical code it is a free table."""

    AFFINE = "affine"
    """The softmax of an affine map."""
    HIDDEN = "hidden"
    """The softmax of a network with one hidden layer of `decoder_width` units."""


@dataclass(frozen=True)
class VariationalSettings(Result):
    """Families and optimisation of a variational fit, checked when they are made.

    The optimiser is Adam, its rate annealed to 0 as a cosine. The loss is divided by max(1, β).

    Attributes
    ----------
    encoder : EncoderKind
    code_dim : int
        Dimensions of z, or states of a categorical code.
    hidden : tuple of int
        Hidden widths of an encoder that is a network.
    marginal : MarginalKind
    components : int
        Of a mixture.
    decoder : DecoderKind
    decoder_width : int
        Of a decoder with a hidden layer.
    steps : int
    learning_rate : float
    batch_size : int or None
        Patterns a step, drawn with replacement; None for all. A table's encoder takes all.
    samples : int
        Draws of z a pattern and step.
    annealed : bool or None
        Whether β rises from β/10 to its value in the first half of the steps, geometrically. None: of tables, whose codes stick
        in local minima without it; not of networks, whose codes collapse to nothing while β is small, and come back late.
    train_fraction : float
        Share of a task's patterns that is trained on; of a joint all are.
    seeds : int
        How many fits of each β, each with its own start, split and draws, which all β and objectives share.
    seed : int
        Of everything random.

    Raises
    ------
    ValueError
        If a setting is out of range; the message names it, its value and what is allowed.

    Examples
    --------
    >>> VariationalSettings(code_dim=2, steps=100).learning_rate
    0.003
    """

    encoder: EncoderKind = EncoderKind.MLP
    code_dim: int = 8
    hidden: tuple[int, ...] = (64, 64)
    marginal: MarginalKind = MarginalKind.MIXTURE
    components: int = 12
    decoder: DecoderKind = DecoderKind.AFFINE
    decoder_width: int = 64
    steps: int = 800
    learning_rate: float = 3e-3
    batch_size: int | None = 256
    samples: int = 1
    annealed: bool | None = None
    train_fraction: float = 0.5
    seeds: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "encoder": EncoderKind(choice(self.encoder, "encoder", EncoderKind)),
            "marginal": MarginalKind(choice(self.marginal, "marginal", MarginalKind)),
            "decoder": DecoderKind(choice(self.decoder, "decoder", DecoderKind)),
            "hidden": tuple(whole(width, "hidden width", 1) for width in self.hidden),
            "learning_rate": positive(self.learning_rate, "learning_rate"),
            "train_fraction": positive(self.train_fraction, "train_fraction"),
            "batch_size": None if self.batch_size is None else whole(self.batch_size, "batch_size", 1),
            "annealed": self.encoder != EncoderKind.MLP if self.annealed is None else bool(self.annealed),
            "seed": whole(self.seed, "seed"),
        }
        for name in ("code_dim", "components", "decoder_width", "steps", "samples", "seeds"):
            checked[name] = whole(getattr(self, name), name, 1)
        if checked["train_fraction"] > 1:
            raise ValueError(f"train_fraction must lie in (0, 1], got {self.train_fraction}")
        if checked["seed"] >= 2**32:
            raise ValueError(f"seed must lie in 0..2^32 - 1, got {self.seed}")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, settings: VariationalSettings | None, changes: Mapping[str, Any]) -> VariationalSettings:
        """Settings with some changed; a TypeError lists the names where there is none of a given one."""
        names = [f.name for f in fields(cls)]
        unknown = [name for name in changes if name not in names]
        if unknown:
            raise TypeError(f"a variational fit has no setting {unknown[0]!r}; its settings are {', '.join(names)}")
        return replace(settings if settings is not None else cls(), **changes)

    @property
    def tabular(self) -> bool:
        """Whether every pattern has parameters of its own."""
        return self.encoder is not EncoderKind.MLP

    def n_train(self, n: int) -> int:
        """How many of a task's n patterns a seed is trained on."""
        return max(1, round(self.train_fraction * n))
