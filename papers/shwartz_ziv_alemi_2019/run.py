"""Information in infinite ensembles of infinitely wide networks [shwartzziv2019]_, over weight scales and data seeds,
and finite ones beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import deepnets
import ntkinfo
from deepnets.widths.finite import Row
from dualib.core.progress import counted
from dualib.core.typing import ArrayLike, FloatArray
from papers.experiments import program
from papers.experiments.program import Values

ACTIVATIONS = ("erf", "relu")
BLOCK = 500  # test points whose kernel is computed at once
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
    """Points, times, weight scales, sample sizes, the points of late times, and the finite networks.

    `digits_file` "" stands for scikit-learn's digits.
    """

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
    finite_taus: tuple[float, ...]
    deep_widths: tuple[int, ...]
    deep_networks: int
    late_w_std: tuple[float, ...]
    late_points: tuple[int, ...]
    late_seeds: int
    digits_file: str


def _times(settings: Settings) -> FloatArray:
    return np.geomspace(settings.tau_low, settings.tau_high, settings.n_taus)


def _data_seeds(settings: Settings, seed: int) -> list[int]:
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(settings.n_data_seeds)]


def _ensemble(data: ntkinfo.Dataset, activation: str, w_std: float) -> ntkinfo.Ensemble:
    network = ntkinfo.mlp(2, activation, w_std, 0.1)
    return ntkinfo.Ensemble(ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, data.x_test), data.y_train)


def _rate_upper(law: ntkinfo.Marginals) -> FloatArray:
    """An upper bound on I(Z;X|D) of the population, up to its averages over the points, nats; no number of points caps it.

    h(Z) is at most that of a Gaussian of its variance; h(Z|X) is exact.
    """
    spread = law.variance.mean(axis=-1) + law.mean[..., 0].var(axis=-1)
    with np.errstate(divide="ignore"):
        return np.asarray(0.5 * (np.log(spread) - np.log(law.variance).mean(axis=-1)))


def _against_time(data: ntkinfo.Dataset, ensemble: ntkinfo.Ensemble, taus: FloatArray, n_rate: int) -> Values:
    """Errors, relevance and the rate's upper bound on all test points; the rate of the first n_rate by quadrature; nats.

    "frontier_at_best" is the exact bottleneck at the upper bound of the rate where the error is least.
    """
    law = ensemble.marginals(taus)
    part = ntkinfo.Marginals(law.mean[:, :n_rate], law.variance[:, :n_rate])
    error = ntkinfo.quantities.expected_square_error(law, data.y_test)
    upper = _rate_upper(law)
    assert data.entropy_y is not None
    assert data.gaussian_ib is not None
    return {
        "error": error,
        "train_error": ntkinfo.quantities.expected_square_error(ensemble.marginals(taus, on="train"), data.y_train),
        "ensemble_error": ntkinfo.quantities.ensemble_square_error(law, data.y_test),
        "relevance": ntkinfo.quantities.label_information_affine(law, data.y_test, data.entropy_y),
        "rate": ntkinfo.quantities.input_information(part),
        "rate_upper": upper,
        "frontier_at_best": data.gaussian_ib.relevance_at(max(0.0, float(upper[error.argmin()]))),
        "parameter_kl": ntkinfo.quantities.parameter_kl(ensemble, taus),
    }


def late(settings: Settings, seed: int, work: Path) -> Values:
    """I(Z;X|D) between bounds at the last three decades of time, nats: the points' number decides neither of the ends.

    upper (W, seeds, 3), the Gaussian's of all points; lower and leave_one_out (W, seeds, N's), of so many points at the end.
    """
    taus = settings.tau_high * np.array([1e-2, 1e-1, 1.0])
    rows: list[Values] = []
    for w_std in settings.late_w_std:
        network = ntkinfo.mlp(2, "erf", w_std, 0.1)
        for one in counted(_data_seeds(settings, seed)[: settings.late_seeds], f"late times, σ_w = {w_std:g}"):
            data = ntkinfo.gaussian_task(settings.n_train, max(settings.late_points), seed=one)
            parts = []
            for x in np.array_split(data.x_test, -(-len(data.x_test) // BLOCK)):
                ensemble = ntkinfo.Ensemble(ntkinfo.Kernels.compute(network.kernel_fn, data.x_train, x), data.y_train)
                parts.append(ensemble.marginals(taus))
            mean, variance = (
                np.concatenate([getattr(p, name) for p in parts], axis=1) for name in ("mean", "variance")
            )
            law = ntkinfo.Marginals(mean, variance)
            some = [ntkinfo.Marginals(law.mean[-1, :n], law.variance[-1, :n]) for n in settings.late_points]
            lower = [float(ntkinfo.quantities.input_information_infonce(m, seed).value) for m in some]
            left = [float(ntkinfo.quantities.input_information_leave_one_out_sampled(m, seed).value) for m in some]
            kl = ntkinfo.quantities.parameter_kl(ensemble, taus)
            rows.append({"upper": _rate_upper(law), "lower": lower, "leave_one_out": left, "parameter_kl": kl})
    result = _stack(rows, (len(settings.late_w_std), settings.late_seeds))
    return result | {"w_std": np.array(settings.late_w_std), "points": np.array(settings.late_points)}


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
    rates = np.linspace(0.0, 12.0, 400)
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
    """Ensembles of finite erf networks of one and of two hidden layers against every quantity (deepnets.compare).

    Two layers, whose weights are as the width's square, have as many narrower widths. widths (D, W); quantity (Q,) names;
    infinite (D, T, Q); finite and std_error (D, T, Q, W); extrapolated (D, T, Q, 2): value and
    standard error at infinite width, for depth and time; exponents (E, 4), of the first depth: theory, fit and its interval.
    """
    arms = ((1, settings.widths, settings.networks), (2, settings.deep_widths, settings.deep_networks))
    found = [
        deepnets.compare_with_infinite_width(
            hidden_layers=depth,
            widths=list(widths),
            replicas=networks,
            taus=list(settings.finite_taus),
            seed=seed,
            out=work / f"finite{depth}",
        )
        for depth, widths, networks in arms
    ]
    names = [n for n in found[0].quantities() if np.isfinite(found[0].select(n)[0].infinite)]

    def rows(comparison: deepnets.Comparison, name: str, tau: float) -> list[Row]:
        # What does not change in time stands at one of the times only.
        return comparison.select(name, tau) or comparison.select(name, comparison.select(name)[0].tau)

    # A quantity that some networks or times lack is not compared.
    size = len(settings.widths)
    names = [n for n in names if all(n in f.quantities() for f in found)]
    names = [n for n in names if all(len(rows(f, n, t)) == size for f in found for t in settings.finite_taus)]

    def table(read: Callable[[deepnets.Comparison, str, list[Row]], ArrayLike]) -> FloatArray:
        return np.array([[[read(f, n, rows(f, n, t)) for n in names] for t in settings.finite_taus] for f in found])

    return {
        "widths": np.array([settings.widths, settings.deep_widths]),
        "taus": np.array(settings.finite_taus),
        "quantity": np.array(names),
        "infinite": table(lambda f, n, r: r[0].infinite),
        "finite": table(lambda f, n, r: [one.finite for one in r]),
        "std_error": table(lambda f, n, r: [one.std_error for one in r]),
        "extrapolated": table(lambda f, n, r: f.extrapolated(n, r[0].tau)[:2]),
        "exponent": np.array([x.name for x in found[0].exponents]),
        "exponents": np.array([[x.expected, x.exponent, x.low, x.high] for x in found[0].exponents]),
    }


EXPERIMENTS = {
    "scales": scales,
    "sizes": sizes,
    "late": late,
    "quantities": quantities,
    "digits": digits,
    "finite": finite,
}
