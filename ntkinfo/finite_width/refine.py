"""Quadratures whose nodes are doubled until nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dualib.core.typing import FloatArray
from ntkinfo.activations.closed_forms import Function
from ntkinfo.finite_width.four_points import OF_COVARIANCES, OF_HIERARCHY, Key, moments, needed
from ntkinfo.finite_width.nodes import Nodes, draws, grid, root
from ntkinfo.finite_width.pairs import Biases, PairMoments, biases, pair_moments
from ntkinfo.finite_width.setup import Setup

FIRST_NODES, MOST_PAIR_NODES = 24, 1536
"""Nodes a dimension, at first and of pairs at most."""

FIRST_DRAWS = 12
"""Two to this power are drawn at first."""

PAIR_TOLERANCE = 1e-6
"""The largest change of the biases at a doubling: the error after it is far below."""

LARGEST_GRID = 3
"""Dimensions beyond which nodes are drawn."""


def relative_change(fine: FloatArray, coarse: FloatArray) -> float:
    """The largest change, relative to the largest entry."""
    scale = float(np.abs(fine).max())
    return float(np.abs(fine - coarse).max()) / scale if scale else 0.0


def refined_pairs(setup: Setup) -> tuple[list[PairMoments], Biases, float, Nodes]:
    """Expectations over pairs, the biases, their relative error, and the nodes: doubled until the biases do not move."""
    thetas, number = [k.ntk for k in setup.below], FIRST_NODES
    before: Biases | None = None
    change = np.inf
    while number <= MOST_PAIR_NODES:
        nodes = grid(2, number)
        pairs = [pair_moments(k.nngp, setup.derivatives, nodes) for k in setup.below]
        found = biases(pairs, thetas, setup.w_std, setup.ratios)
        if before is not None:
            both = [np.stack([b.nngp, b.ntk, b.nngp_variance]) for b in (found, before)]
            change = relative_change(*both)
        if change <= PAIR_TOLERANCE:
            return pairs, found, change, nodes
        before, number = found, 2 * number
    raise ValueError(
        f"expectations over pairs of points still move by {change:.1e} of their size with {MOST_PAIR_NODES} nodes a dimension, the "
        "most there are: the kernels are too large for this activation, use a smaller w_std, or scale the inputs"
    )


class Refinement:
    """Four-point expectations at one layer, with those of half the nodes beside them."""

    def __init__(
        self, covariance: FloatArray, derivatives: Sequence[Function], max_nodes: int, seed: list[int]
    ) -> None:
        self.root, self.derivatives, self.max_nodes, self.seed = root(covariance), derivatives, max_nodes, seed
        self.level, self.change = 0, np.inf
        self.fine = self.coarse = self._moments(0)

    def _moments(self, level: int) -> dict[Key, FloatArray]:
        rank = self.root.shape[1]
        if rank <= LARGEST_GRID:
            nodes = grid(rank, FIRST_NODES << level)
        else:
            nodes = draws(rank, FIRST_DRAWS + max(0, level - 1), [*self.seed, level])
        return moments(needed(OF_COVARIANCES + OF_HIERARCHY), self.root, self.derivatives, nodes)

    @property
    def at_limit(self) -> bool:
        """Whether the next doubling would take more than the most nodes."""
        rank, level = self.root.shape[1], self.level + 1
        return ((FIRST_NODES << level) ** rank if rank <= LARGEST_GRID else 2 << (FIRST_DRAWS + level)) > self.max_nodes

    def refine(self, target: float) -> None:
        """Double the nodes, once at least, until nothing moves by more than `target`; draws are added to those before."""
        while self.change > target and (self.level == 0 or not self.at_limit):
            self.level += 1
            new = self._moments(self.level)
            if self.root.shape[1] > LARGEST_GRID:
                new = {key: 0.5 * (self.fine[key] + value) for key, value in new.items()}
            self.coarse, self.fine = self.fine, new
            self.change = max(relative_change(self.fine[key], self.coarse[key]) for key in self.fine)
