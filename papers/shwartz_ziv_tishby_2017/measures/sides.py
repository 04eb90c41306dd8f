"""What depth, width, sample size and dropout change."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate
from dualib.core.statistics import bootstrap, difference, mean
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.phases import length_of_compression
from papers.experiments.program import Arrays
from papers.experiments.readings import compression, half_way_epoch, of_finite, pick

OUTPUT, LAST_HIDDEN = -1, -2
RATES = ("0.05", "0.1", "0.2")


def depth(d: Arrays, prefix: str, optimiser: str = "") -> dict[str, Estimate]:
    """I(T;Y) of the outputs above one and above six hidden layers, and how soon and how fast they compress."""
    one, six = ({k: d[f"{optimiser}{n}_{prefix}{k}"] for k in ("epochs", "input", "label")} for n in ("one", "six"))
    half_one, half_six = (
        np.log10(np.maximum(half_way_epoch(a["epochs"], a["input"][:, :, OUTPUT]), 1)) for a in (one, six)
    )
    found = {
        "sooner_above_six": difference(half_one, half_six, Unit.LOG10),
        "one_at_the_end": mean(one["label"][:, -1, OUTPUT], Unit.BITS),
        **{
            f"{name}_at_400": mean(a["label"][:, pick(a["epochs"], [400])[0], OUTPUT], Unit.BITS)
            for name, a in (("one", one), ("six", six))
        },
    }
    lengths = [length_of_compression(a["epochs"], a["input"][:, :, OUTPUT]) for a in (one, six)]
    return found | of_finite("shorter_above_six", lengths[0] - lengths[1], Unit.LOG10)


def width(w: Arrays, main: Arrays, prefix: str) -> dict[str, Estimate]:
    """Compression of the last hidden layer in wider networks, and the accuracy that width gains."""
    found: dict[str, Estimate] = {}
    for name, gain, arm in (("wide", "width", ""), ("four_times", "four_times", "four_")):
        if f"{arm}{prefix}input" in w:
            found[f"compression_{name}"] = mean(compression(w[f"{arm}{prefix}input"][:, :, LAST_HIDDEN]), Unit.BITS)
            found[f"gain_of_{gain}"] = difference(w[f"{arm}accuracy"][:, -1], main["accuracy"][:, -1], Unit.ONE)
    return found


def sample_size(f: Arrays, prefix: str) -> dict[str, Estimate]:
    """Label information that the outputs lose after their best epoch, and in which phase the sample size tells more.

    The phases meet where a replica's outputs have their largest I(X;T).
    """
    parts = {p: _phases(f[f"{p}_{prefix}input"][:, :, OUTPUT], f[f"{p}_{prefix}label"][:, :, OUTPUT]) for p in (5, 85)}

    def second_over_first(groups: list[FloatArray]) -> float:
        few, many = (group.mean(axis=0) for group in groups)
        return float(abs(many[1] - few[1]) - abs(many[0] - few[0]))

    return {
        "lost_at_5": mean(compression(f[f"5_{prefix}label"][:, :, OUTPUT]), Unit.BITS),
        "lost_at_85": mean(compression(f[f"85_{prefix}label"][:, :, OUTPUT]), Unit.BITS),
        "second_over_first": bootstrap(second_over_first, [parts[5], parts[85]], Unit.BITS),
    }


def _phases(rate: FloatArray, relevance: FloatArray) -> FloatArray:
    """What each replica gains of I(T;Y) in either phase, (R, 2)."""
    second = relevance[:, -1] - relevance[np.arange(len(rate)), rate.argmax(axis=1)]
    return np.stack([relevance[:, -1] - relevance[:, 0] - second, second], axis=1)


def dropout(n: Arrays, prefix: str) -> dict[str, Estimate]:
    """Compression of the last hidden layer with dropout less without, at each rate and width, and between the widths."""
    found: dict[str, Estimate] = {}
    falls = {
        (arm, rate): compression(n[f"{arm}{rate}_{prefix}input"][:, :, LAST_HIDDEN])
        for arm in ("", "wide_")
        for rate in ("0.0", *RATES)
        if f"{arm}{rate}_{prefix}input" in n
    }
    for (arm, rate), fall in falls.items():
        if rate != "0.0":
            name = rate.replace(".", "_") + ("_wide" if arm else "")
            found[f"more_by_dropout_{name}"] = mean(fall - falls[arm, "0.0"], Unit.BITS)
            cost = n[f"{arm}0.0_accuracy"][:, -1] - n[f"{arm}{rate}_accuracy"][:, -1]
            found[f"cost_of_dropout_{name}"] = mean(cost, Unit.ONE)
    narrow, wide = (falls[arm, "0.1"] - falls[arm, "0.0"] for arm in ("", "wide_"))
    found["dropout_by_width"] = mean(wide - narrow, Unit.BITS)
    end, with_dropout = (n[f"{rate}_{prefix}input"][:, -1, LAST_HIDDEN] for rate in ("0.0", "0.1"))
    return found | {"end_by_dropout": mean(end - with_dropout, Unit.BITS)}
