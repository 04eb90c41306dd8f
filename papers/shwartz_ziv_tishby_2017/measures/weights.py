"""Do the weights move like a Wiener process, and are those that replicas end with alike once their units are aligned?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from dualib.core.estimate import Estimate
from dualib.core.statistics import pair_mean, standard_deviation
from dualib.core.typing import Float, FloatArray, IntArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays
from papers.experiments.readings import of_finite
from papers.experiments.rules import invariants

FEW = 12  # replicas whose pairs are aligned under the task's symmetries as well


def weight_path(m: Arrays) -> dict[str, Estimate]:
    """Exponent of the squared displacement in the time since the change of phase; the mean cosine of successive increments."""
    exponents = [_exponent(t, d) for t, d in zip(m["elapsed"], m["displacement"], strict=True)]
    cosines = [_mean(row[np.isfinite(row)]) for row in m["increments_cosine"]]
    return {
        **of_finite("wiener_exponent", exponents, Unit.ONE),
        **of_finite("increments_cosine", cosines, Unit.ONE),
    }


def _exponent(elapsed: FloatArray, moved: FloatArray) -> float:
    there = np.isfinite(elapsed) & np.isfinite(moved) & (np.nan_to_num(moved) > 0)
    if there.sum() < 4:
        return float("nan")
    return float(np.polyfit(np.log(elapsed[there]), np.log(moved[there]), 1)[0])


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def alignment(m: Arrays) -> dict[str, Estimate]:
    """Mean |cos| of the incoming weights of units of two replicas that correspond to each other, less chance; the accuracies' spread.

    Chance: the same alignment of as many random vectors of the same dimensions.
    """
    layers = [m[f"weights_{i}"] for i in range(sum(name.startswith("weights_") for name in m) - 1)]
    random = random_like(layers)
    few, few_random = ([layer[:FEW] for layer in one] for one in (layers, random))
    return {
        "alignment_excess": pair_mean(similarities(layers) - similarities(random).mean(), Unit.ONE),
        "alignment_excess_symmetric": pair_mean(
            similarities(few, symmetries()) - similarities(few_random, symmetries()).mean(), Unit.ONE
        ),
        "spread_of_accuracy": standard_deviation(m["accuracy"][:, -1], Unit.ONE),
    }


def random_like(layers: Sequence[Float[np.ndarray, "n_replicas n_in n_out"]]) -> list[FloatArray]:
    """Independent normal weights in the shapes of others: vectors without direction."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=layer.shape) for layer in layers]


def similarities(
    layers: Sequence[Float[np.ndarray, "n_replicas n_in n_out"]], inputs: Float[np.ndarray, "n_maps n_in"] | None = None
) -> Float[np.ndarray, " n_pairs"]:
    """:func:`similarity` of every pair of replicas i < j, the largest over the permutations of the inputs in `inputs`."""
    n = len(layers[0])
    maps = [np.arange(layers[0].shape[1])] if inputs is None else list(inputs)
    found = []
    for i, j in zip(*np.triu_indices(n, 1), strict=True):
        first, second = [layer[i] for layer in layers], [layer[j] for layer in layers]
        found.append(max(similarity(first, [second[0][one], *second[1:]]) for one in maps))
    return np.array(found)


def similarity(first: Sequence[FloatArray], second: Sequence[FloatArray]) -> float:
    r"""Mean over the hidden layers of the mean |cos| of matched units, from the inputs upwards.

    The units of a layer are matched one to one so that the sum of |cos| of their incoming weights is largest; their order and
    signs are carried over to the next layer's incoming weights, since φ(-a) = -φ(a).

    Parameters
    ----------
    first, second : sequences of arrays, shapes (n_in, n_out)
        The weights of the hidden layers.
    """
    order, sign = np.arange(first[0].shape[0]), np.ones(first[0].shape[0])
    means = []
    for a, b in zip(first, second, strict=True):
        b = sign[:, None] * b[order]
        norms = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
        cosine = a.T @ b / np.where(norms > 0, norms, 1.0)
        rows, order = linear_sum_assignment(-np.abs(cosine))
        matched = cosine[rows, order]
        sign = np.where(matched < 0, -1.0, 1.0)
        means.append(float(np.abs(matched).mean()))
    return float(np.mean(means))


@lru_cache(maxsize=1)
def symmetries() -> IntArray:
    """The 120 permutations of the inputs under which every icosahedral rule stays as it is, shape (120, 12)."""
    bit = 1 << np.arange(11, -1, -1)
    pair = np.round(invariants()[bit[:, None] | bit, 1], 6)  # ‖v_i + v_j‖ tells the angle; v_i itself on the diagonal
    found: list[list[int]] = [[]]
    for k in range(12):
        found = [
            [*one, v]
            for one in found
            for v in range(12)
            if v not in one and all(pair[v, w] == pair[k, j] for j, w in enumerate(one))
        ]
    return np.array(found)
