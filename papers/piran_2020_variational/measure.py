"""The numbers that claims.toml judges: differences at equal rate, paired by seed of the fit."""

from __future__ import annotations

import numpy as np

from dualib.core.estimate import Estimate, Kind
from dualib.core.statistics import LEVEL
from dualib.core.typing import FloatArray
from dualib.core.units import Unit
from papers.experiments.program import Arrays, Results
from papers.experiments.readings import of_finite

RATES = {"": "3.5", "_at_5": "5"}
"""Ending of a measure's name → the rate at which fits are compared, nats."""
SAME = ("confusion", "teacher")
"""Labels on which both the dual and VIB were trained, beside smoothed ones."""
ALPHAS = ("01", "10")
"""Smoothing of the dual's labels, in hundredths, where VIB is trained on the labels themselves."""
INFORMATION, TEMPERED, ACCURACY = "relevance", "nll_single_tempered", "accuracy_average"


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges: positive differences favour the dual."""
    found: dict[str, Estimate] = {}
    for ending, rate in RATES.items():
        found |= {name + ending: e for name, e in _digits(results["digits"], rate).items()}
        found |= {f"mnist_{name}{ending}": e for name, e in _pair(results["mnist"], "10", rate).items()}
        found |= {f"standard_{name}{ending}": e for name, e in _pair(results["standard"], "10", rate).items()}
    for alpha in ALPHAS:
        over = _over(results["digits"], f"dual_{alpha}", "vib", INFORMATION, "3.5", "bound_")
        found |= of_finite(f"bound_over_vib_{alpha}", over, Unit.NATS)
    return found | _gaussian(results["gaussian"]) | _icosahedral(results["icosahedral"])


def _over(r: Arrays, one: str, other: str, score: str, rate: str, axis: str = "") -> FloatArray:
    """A score of one fit less that of another at one rate, a number a seed; none where one of them was not fitted."""
    names = [f"{axis}{fit}_{score}_at_{rate}" for fit in (one, other)]
    return np.asarray(r[names[0]] - r[names[1]]) if set(names) <= set(r) else np.zeros(0)


def _digits(r: Arrays, rate: str) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    for labels in SAME:
        over = _over(r, f"dual_{labels}", f"vib_{labels}", INFORMATION, rate)
        found |= of_finite(f"same_labels_{labels}", over, Unit.NATS)
    for alpha in ALPHAS:
        found |= _pair(r, alpha, rate)
    of_labels = _over(r, "vib", "vib_10", INFORMATION, rate)
    return found | of_finite("by_labels_of_vib", of_labels, Unit.NATS)


def _pair(r: Arrays, alpha: str, rate: str) -> dict[str, Estimate]:
    """The dual on labels smoothed by α against VIB and CEB on the labels, and against VIB on the same where MNIST has it."""
    dual = f"dual_{alpha}"
    found: dict[str, Estimate] = {}
    raw, tempered = _over(r, dual, "vib", INFORMATION, rate), -_over(r, dual, "vib", TEMPERED, rate)
    same, same_tempered = (
        _over(r, dual, f"vib_{alpha}", score, rate) * sign for score, sign in ((INFORMATION, 1), (TEMPERED, -1))
    )
    for name, values, unit in (
        ("over_vib", raw, Unit.NATS),
        ("tempered_over_vib", tempered, Unit.NATS),
        ("by_calibration", raw - tempered, Unit.NATS),
        ("same_labels", same, Unit.NATS),
        ("tempered_same_labels", same_tempered, Unit.NATS),
        ("accuracy_over_vib", _over(r, dual, "vib", ACCURACY, rate), Unit.ONE),
        ("calibration_error_over_vib", _over(r, dual, "vib", "ece_single", rate), Unit.ONE),
        ("over_ceb", _over(r, dual, "ceb", INFORMATION, rate), Unit.NATS),
        ("tempered_over_ceb", -_over(r, dual, "ceb", TEMPERED, rate), Unit.NATS),
    ):
        found |= of_finite(f"{name}_{alpha}", values, unit)
    return found


def _gaussian(r: Arrays) -> dict[str, Estimate]:
    """The largest distance in I(Z;Y) of the dual at β − 1 from the IB at β, over β; and the largest excess over the optimum."""
    apart = np.abs(r["dual_relevance"] - r["vib_relevance"])
    excess = np.maximum(r["dual_gap"], r["vib_gap"])
    return {
        "gaussian_apart": Estimate.exact(float(apart.max()), Unit.NATS),
        "gaussian_excess": Estimate.exact(float(excess.max()), Unit.NATS),
    }


def _icosahedral(r: Arrays) -> dict[str, Estimate]:
    found = {}
    for name in ("vib", "dual"):
        value, low, high, n = (float(v) for v in r[f"{name}_gap"])
        ends = (low, high)
        found[f"icosahedral_excess_{name}"] = Estimate.within(
            value, ends, Kind.STATISTICAL, Unit.NATS, level=LEVEL, n=int(n), method="randomised quasi-Monte Carlo"
        )
    return found
