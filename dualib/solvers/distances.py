"""Distances between atoms, in units of the width of e^{−βd}: β times a squared Fisher distance."""

from __future__ import annotations

import numpy as np

from dualib.bottleneck import Rows
from dualib.core.typing import Bool, Float, FloatArray, Int, IntArray

FEW_ATOMS = 400  # up to which the distances of all pairs are computed


def separations(r: Rows, other: Float[np.ndarray, "m n_y"], beta: float) -> Float[np.ndarray, "n m"]:
    """2β Σ_y (√r − √r')², β times a squared Fisher distance, of every atom from every other one."""
    root, other_root = np.sqrt(r), np.sqrt(other)
    if beta > 1e9:  # the product of the roots has lost the digits that count
        return np.stack([2.0 * beta * ((root - one) ** 2).sum(axis=1) for one in other_root], axis=1)
    centre = other_root[0]
    root, other_root = root - centre, other_root - centre
    square = (root**2).sum(axis=1)[:, None] + (other_root**2).sum(axis=1) - 2.0 * root @ other_root.T
    return np.asarray(2.0 * beta * np.maximum(square, 0.0))


def away(r: Rows, other: Float[np.ndarray, "m n_y"], beta: float, distance: float) -> Bool[np.ndarray, " n"]:
    """Which atoms are farther than `distance`, β times a squared Fisher distance, from every other one."""
    if len(other) <= FEW_ATOMS:
        return np.asarray(separations(r, other, beta).min(axis=1) > distance)
    from scipy.spatial import cKDTree

    tree, reach = cKDTree(np.sqrt(2.0 * beta * other)), np.sqrt(distance)
    found: FloatArray = tree.query(np.sqrt(2.0 * beta * r), distance_upper_bound=2.0 * reach)[0]
    return np.asarray(found > reach)


def close_pairs(atoms: Rows, beta: float, distance: float) -> Int[np.ndarray, "pairs 2"]:
    """Pairs of atoms nearer than `distance`, β times a squared Fisher distance, the nearest first."""
    if len(atoms) <= FEW_ATOMS:
        table = separations(atoms, atoms, beta)
        pairs = np.argwhere(table < distance)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        apart = table[pairs[:, 0], pairs[:, 1]]
    else:
        from scipy.spatial import cKDTree  # half a second, which smaller problems do without

        points, reach = np.sqrt(2.0 * beta * atoms), np.sqrt(distance)
        nearest = cKDTree(points).query(points, k=2, distance_upper_bound=1.001 * reach)[0][:, 1]
        some = np.flatnonzero(nearest < np.inf)  # few have any, and that is found several times as fast
        pairs = some[np.sort(cKDTree(points[some]).query_pairs(reach, output_type="ndarray"), axis=1)]
        apart = ((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], apart))
    return np.asarray(pairs[order[apart[order] < distance]])


def partners(atoms: Rows, beta: float, distance: float) -> tuple[IntArray, IntArray]:
    """Clusters within `distance` that are each other's nearest."""
    pairs = close_pairs(atoms, beta, distance)
    members, first = np.unique(pairs, return_index=True)
    seen_at = np.zeros(len(atoms), np.int64)  # the first pair of each, its nearest
    seen_at[members] = first // 2
    here = np.arange(len(pairs))
    pairs = pairs[(seen_at[pairs] == here[:, None]).all(axis=1)]
    return pairs[:, 0], pairs[:, 1]
