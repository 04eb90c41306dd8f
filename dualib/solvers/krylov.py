r"""Newton's method on weights and atoms where the Hessian is too large to be kept: conjugate gradients on its products.

Far from a minimum the Hessian is indefinite, and the path of conjugate gradients is followed to the edge of a region in which
the model has been seen to hold ([steihaug1983]_); where it fails, the path is followed less far, without new products. Clusters
that nearly coincide precondition it: :mod:`dualib.solvers.overlaps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dualib.core.special import TINY
from dualib.core.typing import FloatArray
from dualib.solvers.hessian import System
from dualib.solvers.iterate import Iterate, evaluate
from dualib.solvers.overlaps import Overlaps, neighbours

MOST_PRODUCTS = 60  # of one step
MOST_ATTEMPTS = 12  # to follow one path
REFRESHED = 3  # steps after which the blocks of neighbours are computed again


def newton_cg(
    it: Iterate, tolerance: float, max_steps: int, radius: float = np.inf
) -> tuple[Iterate, float, bool, float]:
    """Minimise Φ over weights and atoms; Φ never rises.

    Returns the iterate, the norm of the gradient before the last step, whether that step was to gain less than the
    tolerance, nats, and the `radius` to go on with.
    """
    size, noise, overlaps, before = np.inf, 4e-16 * abs(it.value), Overlaps([]), it
    for steps in range(max_steps):
        system = System(it)
        size = float(np.linalg.norm(system.gradient))
        if size < 1e-14:
            return it, size, True, radius
        if steps % REFRESHED and len(it.weights) == len(before.weights):
            overlaps = overlaps.bent_at(system)
        else:
            overlaps = Overlaps.of(system, neighbours(it.atoms, it.beta))
        before = it
        decrement = float((system.gradient * overlaps.solved(system.gradient)).sum()) ** 0.5
        radius = 10.0 * decrement if radius == np.inf else max(radius, decrement)
        path = _path(system, overlaps, min(0.3, decrement**0.5), radius)
        for attempts in range(MOST_ATTEMPTS):  # noqa: B007  (read after the loop)
            end = path[-1]
            new = _moved(it, end.x)
            gain = it.value - new.value
            if gain >= 0.1 * end.gain - noise:
                break
            radius = 0.35 * end.length
            path = _shortened(path, radius)
        else:
            return it, size, False, radius
        if attempts == 0 and gain > 0.7 * end.gain and end.length > 0.9 * radius:
            radius *= 2.5
        it = new
        if end.gain < tolerance:
            return it, size, True, radius
    return it, size, False, radius


@dataclass(frozen=True)
class Point:
    """A point of the path of conjugate gradients, what the preconditioner makes of it, and the decrease of the model."""

    x: FloatArray
    weighed: FloatArray
    gain: float

    @property
    def length(self) -> float:
        """The norm by the preconditioner."""
        return float(np.sqrt((self.x * self.weighed).sum()))

    def to_edge(self, direction: FloatArray, weighed: FloatArray, radius: float) -> float:
        """How many times the direction leads from here to the sphere of a radius."""
        square, along = float((direction * weighed).sum()), float((self.x * weighed).sum())
        return float((-along + np.sqrt(max(along**2 + square * (radius**2 - self.length**2), 0.0))) / square)


def _path(system: System, overlaps: Overlaps, tolerance: float, radius: float) -> list[Point]:
    """Points of preconditioned conjugate gradients up to the radius or to the tolerance."""
    gradient = system.gradient
    residual, here = -gradient, Point(np.zeros_like(gradient), np.zeros_like(gradient), 0.0)
    direction, weighed = overlaps.solved(residual), residual
    size = float((residual * direction).sum())
    goal, path = tolerance**2 * size, []
    for _ in range(MOST_PRODUCTS):
        product = system.product(direction) + overlaps.added(direction)
        curvature, square = float((direction * product).sum()), float((direction * weighed).sum())
        edge = here.to_edge(direction, weighed, radius)
        step = size / curvature if curvature > 1e-7 * square else np.inf
        residual = residual - min(step, edge) * product
        x = here.x + min(step, edge) * direction
        here = Point(x, here.weighed + min(step, edge) * weighed, -0.5 * float((x * (gradient - residual)).sum()))
        path.append(here)
        solved = overlaps.solved(residual)
        new = float((residual * solved).sum())
        if step >= edge or new < goal:
            break
        direction, weighed, size = solved + (new / size) * direction, residual + (new / size) * weighed, new
    return path


def _shortened(path: list[Point], radius: float) -> list[Point]:
    """The part of a path within a radius; of the last piece, in which the model falls ever less, its linear share."""
    kept = [point for point in path if point.length < radius]
    end = path[len(kept)]
    start = kept[-1] if kept else Point(0.0 * end.x, 0.0 * end.x, 0.0)
    share = start.to_edge(end.x - start.x, end.weighed - start.weighed, radius)
    parts = [a + share * (b - a) for a, b in ((start.x, end.x), (start.weighed, end.weighed))]
    return [*kept, Point(parts[0], parts[1], start.gain + share * (end.gain - start.gain))]


def _moved(it: Iterate, step: FloatArray) -> Iterate:
    """The iterate after a step; clusters that it would take below 0 are dropped where they weigh little."""
    change = 1.0 + step[:, 0] / np.sqrt(it.weights)
    keep = (change > 0.0) | (it.weights > 1e-4 * it.weights.max())
    weights = (it.weights * np.maximum(change, 0.1))[keep]
    moved = 1.0 + step[:, 1:] / np.sqrt(np.maximum(it.atoms, TINY) * it.beta * it.weights[:, None])
    atoms = (it.atoms * np.clip(moved, 0.1, 10.0))[keep]
    return evaluate(it.problem, it.beta, weights / weights.sum(), atoms / atoms.sum(axis=1, keepdims=True), it.log_z)
