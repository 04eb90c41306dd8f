"""Tables of random ensembles of every kind against dense algebra in 60 digits: right to 1e-9, or the loss is reported."""

import mpmath as mp
import numpy as np
import pytest
from holdout import Case, Truth

import ntkinfo

UPPER = ("data_information",)


def failures(seed):
    """(column, τ, value, truth, reported loss) where a column is off by more than it says; and the number compared."""
    case, wrong, compared = Case.draw(seed), [], 0
    table = ntkinfo.timeline(
        case.ensemble,
        case.taus,
        y_test=case.y_test,
        entropy_y=case.entropy_y,
        digits=True,
        progress=False,
        **case.noises,
    )
    with mp.workdps(60):
        for t, tau in enumerate(case.taus):
            truth = Truth(case, tau)
            if not truth.positive:  # rounding of the kernel itself
                continue
            for name, value in (truth.spectral() | truth.of_points()).items():
                if name not in table:
                    continue
                found, loss = float(table[name][t]), float(table.rounding[name][t])
                value, compared = float(value), compared + 1
                allowed = (1e-9 + loss) * max(abs(value), abs(found)) + 1e-290
                right = found == value or loss == np.inf or abs(found - value) <= allowed
                if not (right or (name in UPPER and found > value)):
                    wrong.append((seed, name, float(tau), found, value, loss))
    return wrong, compared


def test_every_column_of_every_kind_of_ensemble():
    found = [failures(seed) for seed in range(6)]
    assert [case for wrong, _ in found for case in wrong] == []
    assert sum(compared for _, compared in found) > 300


@pytest.mark.slow
@pytest.mark.parametrize("first", range(6, 156, 50))
def test_every_column_of_every_kind_of_ensemble_in_three_times_fifty_cases(first):
    assert [case for seed in range(first, first + 50) for case in failures(seed)[0]] == []
