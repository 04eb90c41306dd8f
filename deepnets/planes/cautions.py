"""What estimates of a plane do not mean any more, said with numbers: cautions about a layer, and the worst of each kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deepnets.estimators import Binning, Caution, Concern, LayerInformation
from dualib.core.typing import Int

RESOLVED = 0.5
"""Share of the units that vary above which units of one cell each make a caution."""
BIAS = 0.1
"""Share of I(X;Y) above which the bias of a sample makes a caution."""


def separated(found: LayerInformation, entropy_x: float) -> LayerInformation:
    """With a caution where an estimate tells nearly all patterns apart; estimators that say so themselves are left alone."""
    rate = found.rate.value
    if rate < 0.9 * entropy_x or any(c.concern is Concern.SEPARATED for c in found.cautions):
        return found
    text = (
        f"I(X;T), {rate:.4g} nats, is near H(X) = {entropy_x:.4g}: nearly every pattern is told from all others, which makes "
        "I(T;Y) nearly I(X;Y) whatever the layer does"
    )
    return replace(found, cautions=(*found.cautions, Caution(Concern.SEPARATED, rate, text)))


def binned(
    found: LayerInformation,
    t: NDArray[np.floating],
    cells: Binning,
    by_range: bool,
    n_classes: int,
    information_xy: float,
) -> LayerInformation:
    r"""With cautions of binned layers.

    Where the cells are chosen `by_range` and few units reach far, most units that vary do so within one cell: their
    information is lost. And labels in few patterns a cell look informative: taken for a sample of a population, the plug-in of
    I(T;Y) is too high by about :math:`(e^{H(\hat T)} - 1)(|Y| - 1)/2n` nats ([paninski2003]_).
    """
    more = []
    low, high = t.min(axis=0), t.max(axis=0)
    varies = high > low
    if by_range and varies.any():
        one = float((cells.codes(low[varies]) == cells.codes(high[varies])).mean())
        if one > RESOLVED:
            text = (
                f"{one:.0%} of the {int(varies.sum())} units that vary keep to one of the cells between {cells.low:.4g} and "
                f"{cells.high:.4g}, which other units or layers set: what they tell is lost; use more bins, or record the layer "
                "normalised"
            )
            more.append(Caution(Concern.RESOLUTION, one, text))
    rate = found.rate.value
    bias = math.expm1(rate) * (n_classes - 1) / (2.0 * len(t))
    apart = any(c.concern is Concern.SEPARATED for c in found.cautions)
    if not cells.sampled and not apart and bias > BIAS * information_xy:
        estimator = "RangeBinning" if by_range else "Binning"
        text = (
            f"if the {len(t)} patterns are a sample of a population, its I(T;Y) is lower by about {bias:.2g} nats, as "
            f"{n_classes} classes share some {math.exp(rate):.0f} cells: {estimator}(sampled=True), or fewer bins"
        )
        more.append(Caution(Concern.SAMPLES, bias, text))
    return replace(found, cautions=(*found.cautions, *more))


class Worst:
    """The worst caution of each concern, with its place, and in how many layers there was one."""

    def __init__(self, layers: Sequence[str], epochs: Int[np.ndarray, " S"]) -> None:
        self._layers, self._epochs = layers, epochs
        self._worst: dict[Concern, tuple[Caution, str]] = {}
        self._count: Counter[Concern] = Counter()

    def add(self, found: Sequence[LayerInformation], replica: int, snapshot: int) -> None:
        """Count the cautions of the layers of one replica at one snapshot."""
        for name, layer in zip(self._layers, found, strict=True):
            self._count.update({caution.concern for caution in layer.cautions})  # rate and relevance may share one
            for caution in layer.cautions:
                concern = caution.concern
                if concern not in self._worst or caution.amount > self._worst[concern][0].amount:
                    place = f"layer {name}, epoch {int(self._epochs[snapshot])}, replica {replica}"
                    self._worst[concern] = caution, place

    def texts(self) -> dict[str, int]:
        """The worst of each concern with its place → how often there was one."""
        return {f"{c.text} (worst at {place})": self._count[concern] for concern, (c, place) in self._worst.items()}
