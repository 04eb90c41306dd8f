r"""Newton's method on weights and atoms where the Hessian is too large to be kept: conjugate gradients on its products.

Clusters are coupled to those around them, so that a step that fails fails in few places: where a cluster vanishes, where two meet
or part. So every cluster has limits of its own. Those that make the Hessian bend downwards are damped, those at their limits are
held there, and the conjugate gradients go on; where two exchange weight, their valley is followed
(:mod:`dualib.solvers.exchange`); a step that does not gain what it promised is shortened for the clusters whose own gradient tells
so, and the others keep theirs. Before the next step there is then a plain alternating one, which takes far clusters to where the
model holds, and clusters that have met are taken for one. Clusters that nearly coincide precondition all:
:mod:`dualib.solvers.overlaps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.typing import Bool, Float, FloatArray
from dualib.solvers.alternating import heavy, iterate
from dualib.solvers.atoms import coalesce
from dualib.solvers.exchange import LEAST_LEFT, after, along_valleys
from dualib.solvers.hessian import System
from dualib.solvers.iterate import Iterate
from dualib.solvers.overlaps import Overlaps, most_change, neighbours

MOST_PRODUCTS = 60  # of one step
MOST_DAMPED = 15  # of a step on whose way the Hessian has bent downwards: it is far from the minimum
MOST_ATTEMPTS = 14  # to shorten one step,
LOCAL = 3  # the first of them in some clusters only
SHORTER = 0.3
REFRESHED = 3  # steps after which the blocks of neighbours are computed again
MET = 0.03  # clusters nearer than this, in β times a squared Fisher distance, may have met
REACH = 0.7  # how far a step may move a cluster, in such units not squared,
OVER = 0.01  # and how many of the clusters may be asked for more: then the path ends
LEAST_CURVATURE = 1e-3  # of a direction, relative to the preconditioner's
DAMPING = 0.5  # curvature left to clusters that bend downwards


def newton_cg(it: Iterate, tolerance: float, max_steps: int) -> tuple[Iterate, float, bool]:
    """Minimise Φ over weights and atoms; Φ never rises.

    Returns the iterate, the norm of the gradient before the last step, and whether that was a step of Newton's in all clusters
    that was to gain less than the tolerance, nats.
    """
    size, near, overlaps, n_t = np.inf, False, None, 0
    few = it.parts is not None and it.parts.far is not None  # pairs: Φ is that of its gradient to first order only
    for steps in range(max_steps):
        if not near:
            it = coalesce(iterate(it, 1), MET)
        system = System(it)
        size = float(np.linalg.norm(system.gradient))
        if size < 1e-14:
            return it, size, True
        if overlaps and steps % REFRESHED and len(it.weights) == n_t:
            overlaps = overlaps.bent_at(system)
        else:
            overlaps = Overlaps.of(system, neighbours(it.atoms, it.beta))
        n_t = len(it.weights)
        step = Step.solved(system, overlaps, tolerance)
        new, whole = step.taken()
        if new is None:
            return it, size, False
        gained = it.value - new.value
        it, near = new, step.near and (whole or few)
        if near and step.promise < tolerance:
            return it, size, True
        if few and gained < tolerance:
            return it, size, False
    return it, size, False


@dataclass(frozen=True)
class Step:
    """A step x, the Hessian times x with what the blocks and the damping add, and whether neither damping nor limits were needed."""

    system: System
    overlaps: Overlaps
    x: FloatArray
    product: FloatArray
    near: bool

    @classmethod
    def solved(cls, system: System, overlaps: Overlaps, tolerance: float) -> Step:
        """By conjugate gradients, as far as the tolerance, nats, and how near the minimum is make sense of."""
        path = Path(system, overlaps)
        goal = max(min(0.09 * path.square, path.square**1.5), 0.09 * tolerance)
        for products in range(1, MOST_PRODUCTS + 1):
            far = path.forward()
            if far or path.square < goal or (path.hindered and products >= MOST_DAMPED):
                break
        share = 1.0 / np.maximum(overlaps.largest(path.beyond()), 1.0)[:, None]
        return cls(
            system, overlaps, share * path.x, share * path.product, not path.hindered and bool(share.min() == 1.0)
        )

    @property
    def promise(self) -> float:
        """By how much the model falls, nats."""
        return -float((self.x * (self.system.gradient + 0.5 * self.product)).sum())

    def taken(self) -> tuple[Iterate | None, bool]:
        """The iterate after the step, shortened until Φ falls, and whether it was taken in whole; None where Φ never falls."""
        it, gradient, noise = self.system.it, self.system.gradient, self.system.it.noise
        step = self
        for attempts in range(MOST_ATTEMPTS):
            if float((step.x * gradient).sum()) >= 0.0:
                step = step._shortened(step.overlaps.by_group(step.x * gradient) > 0.0, 0.0)
            wanted = 0.1 * step.promise if step.promise > 0.0 else -0.05 * float((step.x * gradient).sum())
            new, kept = after(it, step.x)
            if it.value - new.value >= wanted - noise:
                return new, attempts == 0
            valleys = None if attempts else along_valleys(it, step.x)
            if valleys is not None and it.value - valleys.value >= wanted - noise:
                return valleys, True
            if attempts < LOCAL:
                there = np.zeros_like(gradient)
                there[kept] = System(new).gradient * (np.sqrt(it.weights[kept] / new.weights)[:, None])
                promised = -0.5 * step.overlaps.by_group((2.0 * gradient + step.product) * step.x)
                work = -0.5 * step.overlaps.by_group((gradient + there) * step.x)
                step = step._shortened(promised - work > 0.25 * np.abs(promised), SHORTER)
            else:
                step = step._shortened(np.ones(len(gradient), bool), SHORTER)
        return None, False

    def _shortened(self, where: Bool[np.ndarray, " n_t"], share: float) -> Step:
        factor = np.where(where, share, 1.0)[:, None]
        return Step(self.system, self.overlaps, factor * self.x, factor * self.product, self.near)


class Path:
    """Conjugate gradients; on the way clusters are damped, and held at their limits or where nothing remains of their weight."""

    def __init__(self, system: System, overlaps: Overlaps):
        self.system, self.overlaps = system, overlaps
        self.x = np.zeros_like(system.gradient)
        self.product = np.zeros_like(system.gradient)
        self.damping = np.zeros((len(self.x), 1))
        self.free = np.ones((len(self.x), 1))
        self.heavy = heavy(system.it)
        self._restart()

    def _restart(self) -> None:
        self.residual = -self.system.gradient - self.product
        self.direction = self._solved(self.residual)
        self.square = float((self.residual * self.direction).sum())

    def _solved(self, v: FloatArray) -> FloatArray:
        return self.free * self.overlaps.solved(self.free * v) / (1.0 + self.damping)

    def _multiplied(self, v: FloatArray, bent: FloatArray) -> FloatArray:
        return self.system.product(v) + self.overlaps.added(v) + self.damping * bent

    @property
    def hindered(self) -> bool:
        """Whether some cluster is damped or held."""
        return bool(self.damping.any() or not self.free.all())

    def forward(self) -> bool:
        """One product further; whether many clusters are then beyond their limits."""
        direction, overlaps = self.direction, self.overlaps
        bent = overlaps.bent(direction)
        ahead = self._multiplied(direction, bent)
        curvature = float((direction * ahead).sum())
        if curvature <= LEAST_CURVATURE * float((direction * bent).sum()):
            along, weight = overlaps.by_group(direction * ahead), overlaps.by_group(direction * bent)
            down = along < 0.0
            self._damp(np.where(down, DAMPING - along / np.where(down, weight, 1.0), 0.0))
            return False
        length = self.square / curvature
        return self._along(length * direction, length * ahead)

    def _along(self, step: FloatArray, ahead: FloatArray) -> bool:
        """Take a step as far as the limits allow; whether many clusters were beyond them."""
        before = self.overlaps.largest(self.beyond())
        self.x = self.x + step
        gone = (self.x[:, 0] < -self.system.root[:, 0]) & (self.free[:, 0] > 0.0) & ~self.heavy
        if gone.any():
            self.x[gone] = 0.0
            self.x[gone, 0] = -self.system.root[gone, 0]
            self._held(gone)
            return False
        self.product = self.product + ahead
        after = self.overlaps.largest(self.beyond())
        over = after > 1.0
        if over.any():
            back = np.where(over, (after - 1.0) / np.where(over, after - np.minimum(before, 1.0), 1.0), 0.0)
            if over.sum() > OVER * len(over):  # all go back alike, so that the model still falls
                self.x, self.product = self.x - back.max() * step, self.product - back.max() * ahead
                return True
            self.x = self.x - back[:, None] * step
            self._held(over)
            return False
        self.residual = -self.system.gradient - self.product
        solved = self._solved(self.residual)
        last, self.square = self.square, float((self.residual * solved).sum())
        self.direction = solved + self.square / last * self.direction
        return False

    def _held(self, where: Bool[np.ndarray, " n_t"]) -> None:
        """Leave some clusters where they are, and go on with the others."""
        self.free[where] = 0.0
        self.product = self._multiplied(self.x, self.overlaps.bent(self.x))
        self._restart()

    def _damp(self, more: Float[np.ndarray, " n_t"]) -> None:
        self.damping = self.damping + more[:, None]
        self.product = self.product + more[:, None] * self.overlaps.bent(self.x)
        self._restart()

    def beyond(self) -> Float[np.ndarray, " n_t"]:
        """How many times its limits the step of a cluster is."""
        relative = self.x / self.system.root
        change = most_change(self.system.it.weights)
        weight = np.maximum(relative[:, 0] / change, np.where(self.heavy, -relative[:, 0] / (1.0 - LEAST_LEFT), 0.0))
        return np.asarray(np.maximum(weight, np.linalg.norm(relative[:, 1:], axis=1) / REACH))
