r"""The variational objectives, and the bottleneck that each bounds.

========  ==============================================================  ===============================================
VIB       E_x D(e(·|x) ‖ m) + β E[−log d(y|z)]                            ≥ F_IB(β) + βH(Y|X)       [alemi2017]_
dual      E_x D(e(·|x) ‖ m) + β E_x E_{z|x} D(d(·|z) ‖ p_x)               ≥ F_dual(β)               [piran2020]_
CEB       E_{xy} D(e(·|x) ‖ b(·|y)) + γ E[−log d(y|z)]                    ≥ F_IB(1+γ) − (1+γ)I(X;Y) + γH(Y)  [fischer2020]_
NIB       −E_x log E_x' exp(−D(e_x ‖ e_x')) + β E[−log d(y|z)]            ≥ F_IB(β) + βH(Y|X)       [kolchinsky2019]_
========  ==============================================================  ===============================================

with e the encoder, m the marginal (b one a label), d the decoder, p_x = p(·|x). [alemi2017]_ divide by β. CEB's first term is no
bound of the rate I(X;Z) but of I(X;Z|Y). NIB's is one of the rate for the x that the inner mean runs over: all of them here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from deepnets.variational.label_models import LabelModel, OneHot, Smoothed
from dualib.bottleneck import Bottleneck
from dualib.core.result import Result
from dualib.joint import Joint
from dualib.problems import IB, DualIB


class RateTerm(StrEnum):
    """What stands for the rate."""

    MARGINAL = "marginal"
    """D(e ‖ m)."""
    CONDITIONAL = "conditional"
    """D(e ‖ b(·|y)), mean over the labels."""
    PAIRWISE = "pairwise"
    """Minus the log of the mean of exp(−D(e_x ‖ e_x')) over x'."""


class Distortion(StrEnum):
    """What stands for the loss of label information."""

    FORWARD = "forward"
    """The cross-entropy of p̃ and d."""
    REVERSE = "reverse"
    """The divergence D(d ‖ p̃)."""


@dataclass(frozen=True)
class Objective(Result):
    """An objective and where it has its p̃(y|x) from; use VIB, VariationalDualIB, CEB or NonlinearIB.

    Attributes
    ----------
    labels : LabelModel
    """

    labels: LabelModel = field(default_factory=OneHot)
    name: ClassVar[str]
    rate: ClassVar[RateTerm] = RateTerm.MARGINAL
    distortion: ClassVar[Distortion] = Distortion.FORWARD
    shift: ClassVar[float] = 0.0
    """What is added to the objective's β to give that of the bottleneck it bounds."""

    def problem(self, joint: Joint) -> Bottleneck:
        """The bottleneck of the joint whose optimum the objective bounds, at β + shift."""
        return DualIB(joint) if self.distortion is Distortion.REVERSE else IB(joint)

    def __str__(self) -> str:
        return f"{self.name}, {self.labels}"


@dataclass(frozen=True)
class VIB(Objective):
    """The variational information bottleneck ([alemi2017]_).

    Examples
    --------
    >>> VIB().labels
    OneHot()
    """

    name: ClassVar[str] = "vib"


@dataclass(frozen=True)
class VariationalDualIB(Objective):
    """The variational dual information bottleneck ([piran2020]_): p̃ needs every label, so that its default is smoothed.

    Examples
    --------
    >>> VariationalDualIB().labels
    Smoothed(alpha=0.1)
    """

    labels: LabelModel = field(default_factory=Smoothed)
    name: ClassVar[str] = "dual"
    distortion: ClassVar[Distortion] = Distortion.REVERSE


@dataclass(frozen=True)
class CEB(Objective):
    """The conditional entropy bottleneck ([fischer2020]_), whose γ is called β here; its bottleneck's β is 1 + γ.

    Examples
    --------
    >>> CEB().labels
    OneHot()
    """

    name: ClassVar[str] = "ceb"
    rate: ClassVar[RateTerm] = RateTerm.CONDITIONAL
    shift: ClassVar[float] = 1.0


@dataclass(frozen=True)
class NonlinearIB(Objective):
    """The nonlinear information bottleneck ([kolchinsky2019]_).

    Examples
    --------
    >>> NonlinearIB().labels
    OneHot()
    """

    name: ClassVar[str] = "nib"
    rate: ClassVar[RateTerm] = RateTerm.PAIRWISE


OBJECTIVES: dict[str, type[Objective]] = {kind.name: kind for kind in (VIB, VariationalDualIB, CEB, NonlinearIB)}
