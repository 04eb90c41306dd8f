"""Information in infinite ensembles of infinitely wide networks [shwartzziv2019]_, over weight scales and data seeds,
and finite ones beside them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import deepnets
import ntkinfo
from dualib.core.progress import counted
from dualib.core.typing import FloatArray
from papers.experiments import program
from papers.experiments.program import Values

ACTIVATIONS = ("erf", "relu")
QUANTITIES = (
    "input_information",
    "label_information_affine",
    "data_information",
    "gaussian_label_information",
    "parameter_kl",
    "parameter_label_information",
    "parameter_kl_weight_noise",
)


class Settings(program.Settings, frozen=True):
    """Points, times, weight scales, sample sizes, and the finite networks; `digits_file` "" stands for scikit-learn's digits."""

    n_train: int
    n_test: int
    n_rate: int
    n_data_seeds: int
    tau_low: float
    tau_high: float
    n_taus: int
    w_std: tuple[float, ...]
    sizes: tuple[int, ...]
    size_w_std: float
    fixed_tau: float
    n_digits: int
    digits_w_std: tuple[float, ...]
    widths: tuple[int, ...]
    networks: int
    finite_tau: float
    digits_file: str


def _times(settings: Settings) -> FloatArray:
    return np.geomspace(settings.tau_low, settings.tau_high, settings.n_taus)


def _data_seeds(settings: Settings, seed: int) -> list[int]:
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(settings.n_data_seeds)]


def _ensemble(data: ntkinfo.Dataset, activation: str, w_std: float) -> ntkinfo.Ensemble:
    network = ntkinfo.mlp(2, activation, w_std, 0.1)
    return ntkinfo.Ensemble(ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test), data.y_train)


def _against_time(data: ntkinfo.Dataset, ensemble: ntkinfo.Ensemble, taus: FloatArray, n_rate: int) -> Values:
    """Errors and relevance on all test points; the rate, which is costly, on the first n_rate; nats.

    "frontier_at_best" is the exact bottleneck at the upper bound of the rate where the error is least.
    """
    law = ensemble.marginals(taus)
    part = ntkinfo.Marginals(law.mean[:, :n_rate], law.variance[:, :n_rate])
    error = ntkinfo.quantities.expected_square_error(law, data.y_test)
    best = int(error.argmin())
    assert data.entropy_y is not None
    assert data.gaussian_ib is not None
    upper = ntkinfo.quantities.input_information_leave_one_out(ntkinfo.Marginals(part.mean[best], part.variance[best]))
    return {
        "error": error,
        "ensemble_error": ntkinfo.quantities.ensemble_square_error(law, data.y_test),
        "relevance": ntkinfo.quantities.label_information_affine(law, data.y_test, data.entropy_y),
        "rate": ntkinfo.quantities.input_information(part),
        "frontier_at_best": data.gaussian_ib.relevance_at(max(0.0, float(upper))),
        "parameter_kl": ntkinfo.quantities.parameter_kl(ensemble, taus),
    }


def _stack(rows: list[Values], shape: tuple[int, ...]) -> dict[str, FloatArray]:
    """Row by row into arrays of that leading shape."""
    return {name: np.reshape([row[name] for row in rows], (*shape, *np.shape(rows[0][name]))) for name in rows[0]}


def scales(settings: Settings, seed: int, work: Path) -> Values:
    """Everything against time for each activation, weight scale and data seed: arrays (2, n_scales, n_seeds, n_taus)."""
    taus, rows = _times(settings), []
    seeds = _data_seeds(settings, seed)
    for activation in ACTIVATIONS:
        for w_std in settings.w_std:
            for one in counted(seeds, f"{activation}, σ_w = {w_std:g}"):
                data = ntkinfo.gaussian_task(settings.n_train, settings.n_test, seed=one)
                rows.append(_against_time(data, _ensemble(data, activation, w_std), taus, settings.n_rate))
    result = _stack(rows, (len(ACTIVATIONS), len(settings.w_std), settings.n_data_seeds))
    # One correlation, fixed by I(X;Y), makes the frontier: it is the same for every data seed.
    assert data.gaussian_ib is not None
    rates = np.linspace(0.0, 6.0, 200)
    return result | {
        "tau": taus,
        "w_std": np.array(settings.w_std),
        "n_train": settings.n_train,
        "log_n_rate": float(np.log(settings.n_rate)),
        "frontier_rate": rates,
        "frontier": data.gaussian_ib.relevance_at(rates),
    }


def sizes(settings: Settings, seed: int, work: Path) -> Values:
    """Everything against time for each number of training points and data seed, erf: (n_sizes, n_seeds, n_taus)."""
    taus, rows = _times(settings), []
    for n in settings.sizes:
        for one in counted(_data_seeds(settings, seed), f"{n} points"):
            data = ntkinfo.gaussian_task(n, settings.n_test, seed=one)
            ensemble = _ensemble(data, "erf", settings.size_w_std)
            rows.append(_against_time(data, ensemble, taus, settings.n_rate))
    result = _stack(rows, (len(settings.sizes), settings.n_data_seeds))
    fixed = int(np.abs(np.log(taus / settings.fixed_tau)).argmin())
    return result | {"tau": taus, "sizes": np.array(settings.sizes), "fixed": fixed}


def quantities(settings: Settings, seed: int, work: Path) -> Values:
    """The quantities of one low-σ_w erf ensemble against time, nats: on n_rate test points, the relevance on all."""
    data = ntkinfo.gaussian_task(settings.n_train, settings.n_test, seed=_data_seeds(settings, seed)[0])
    part = replace(data, x_test=data.x_test[: settings.n_rate], y_test=data.y_test[: settings.n_rate])
    curve = ntkinfo.timeline(
        _ensemble(part, "erf", 0.25),
        _times(settings),
        y_test=part.y_test,
        entropy_y=data.entropy_y,
        label_noise=data.label_noise or 0.0,
    )
    assert data.entropy_y is not None
    law = _ensemble(data, "erf", 0.25).marginals(curve.tau)
    relevance = ntkinfo.quantities.label_information_affine(law, data.y_test, data.entropy_y)
    return {"tau": curve.tau, **{name: curve[name] for name in QUANTITIES}, "label_information_affine": relevance}


def _images(file: str, n: int, seed: int) -> ntkinfo.Dataset:
    """Training and test images, n each, with their parity: scikit-learn's digits, or those of a file such as MNIST's."""
    if file:
        return ntkinfo.from_npz(file, n, n, labels="parity", images=True, seed=seed)
    return ntkinfo.digits_parity(n, n, images=True, seed=seed)


def digits(settings: Settings, seed: int, work: Path) -> Values:
    """Parity of handwritten digits by a convolutional network: error against time, (n_scales, n_seeds, n_taus)."""
    taus, n = _times(settings), settings.n_digits
    shape = (len(settings.digits_w_std), settings.n_data_seeds, len(taus))
    error = np.zeros(shape)
    rate = np.zeros(shape)
    for i, w_std in enumerate(settings.digits_w_std):
        network = ntkinfo.cnn(2, "erf", w_std, 0.1)
        for k, one in enumerate(counted(_data_seeds(settings, seed), f"digits, σ_w = {w_std:g}")):
            data = _images(settings.digits_file, n, one)
            kernels = ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test)
            law = ntkinfo.Ensemble(kernels, data.y_train).marginals(taus)
            error[i, k] = ntkinfo.quantities.expected_square_error(law, data.y_test)
            rate[i, k] = ntkinfo.quantities.input_information(law)
    return {"tau": taus, "w_std": np.array(settings.digits_w_std), "error": error, "rate": rate}


def finite(settings: Settings, seed: int, work: Path) -> Values:
    """Ensembles of finite erf networks of one hidden layer, at several widths, against every quantity (deepnets.compare).

    quantity (Q,) names, infinite (Q,), finite and std_error (Q, widths); extrapolated (Q, 2): value and standard error at
    infinite width; all at one time; exponents (E, 4): theory, fit and its interval.
    """
    found = deepnets.compare_with_infinite_width(
        hidden_layers=1,
        widths=list(settings.widths),
        replicas=settings.networks,
        taus=[settings.finite_tau],
        seed=seed,
        out=work / "finite",
    )
    names = [n for n in found.quantities() if np.isfinite(found.select(n)[0].infinite)]
    rows = {name: found.select(name) for name in names}
    tau = {name: rows[name][0].tau for name in names}
    return {
        "widths": np.array(settings.widths),
        "quantity": np.array(names),
        "infinite": np.array([rows[n][0].infinite for n in names]),
        "finite": np.array([[r.finite for r in rows[n]] for n in names]),
        "std_error": np.array([[r.std_error for r in rows[n]] for n in names]),
        "extrapolated": np.array([found.extrapolated(n, tau[n])[:2] for n in names]),
        "exponent": np.array([x.name for x in found.exponents]),
        "exponents": np.array([[x.expected, x.exponent, x.low, x.high] for x in found.exponents]),
    }


EXPERIMENTS = {"scales": scales, "sizes": sizes, "quantities": quantities, "digits": digits, "finite": finite}
