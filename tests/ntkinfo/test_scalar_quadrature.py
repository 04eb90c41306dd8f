"""The nodes of one law serve laws near it: their differences, against the gradient of both informations, and where none is near."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from exact import places
from scipy.special import xlogy

from ntkinfo.laws import Marginals
from ntkinfo.quantities import scalar_quadrature
from ntkinfo.quantities.scalar_quadrature import informations_of, scalar_informations


def law_of(mean, sigma):
    return Marginals(np.asarray(mean, dtype=float)[..., None], np.asarray(sigma, dtype=float) ** 2)


def change(mean, sigma, shift, stretch):
    """First-order changes of both informations by μ + shift and σ² e^{stretch}: E of the score times log p - log of the mixture, the latter
    less what each density is to the others' mixtures; by sums between all places where densities cross, in 30 digits.
    """
    with mp.workdps(30):
        mean, sigma, shift, stretch = ([mp.mpf(float(x)) for x in a] for a in (mean, sigma, shift, stretch))
        n = len(mean)

        def log_p(j, z):
            return -(((z - mean[j]) / sigma[j]) ** 2) / 2 - mp.log(sigma[j]) - mp.log(2 * mp.pi) / 2

        def integrand(z):
            p = [mp.exp(log_p(j, z)) for j in range(n)]
            others = [mp.fsum(p[:i] + p[i + 1 :]) for i in range(n)]
            first = second = mp.mpf(0)
            for j in range(n):
                t = (z - mean[j]) / sigma[j]
                score = p[j] * (t * shift[j] / sigma[j] + (t**2 - 1) * stretch[j] / 2)
                first += score * mp.log(n * p[j] / mp.fsum(p))
                taken = mp.fsum(p[i] / others[i] for i in range(n) if i != j)
                second += score * (mp.log((n - 1) * p[j] / others[j]) - taken)
            return first, second

        edges = sorted(places(mean, sigma))
        nodes = [[mp.mpf(float(x)) for x in rule] for rule in np.polynomial.legendre.leggauss(12)]
        total = [mp.mpf(0), mp.mpf(0)]
        for low, high in itertools.pairwise(edges):
            if min(abs((low + high) / 2 - m) / s for m, s in zip(mean, sigma, strict=True)) > 14:
                continue
            for x, weight in zip(*nodes, strict=True):
                for which, value in enumerate(integrand(low + (high - low) * (1 + x) / 2)):
                    total[which] += weight * (high - low) / 2 * value
        return np.array([float(x / n) for x in total])


LAWS = {
    "grid": ([0.0, 0.4, 1.1, 1.3], [0.5, 0.4, 0.7, 0.6]),
    "panels": ([0.0, 0.04, 1.1, 1.3, 1.35], [0.005, 0.02, 0.3, 0.01, 0.02]),
    "rivals": ([0.0, 0.05, 3.0, 3.002, 3.1], [1e-3, 2e-3, 1e-3, 1e-3, 3e-3]),
}


@pytest.mark.parametrize("name", LAWS)
def test_small_moves_change_informations_by_their_gradient(name):
    """By 1e-8 of the widths, of which two quadratures would leave three digits."""
    mean, sigma = (np.array(a) for a in LAWS[name])
    rng, size = np.random.default_rng(0), 1e-8
    shift, stretch = sigma * rng.standard_normal(mean.size), rng.standard_normal(mean.size)
    law = law_of(mean, sigma)
    moved = informations_of(law).of(law_of(mean + size * shift, sigma * np.exp(size * stretch / 2)))
    found = (np.array(moved) - scalar_informations(law)) / size
    expected = change(mean, sigma, shift, stretch)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("size", [1e-3, 0.1, 0.24, 0.26, 3.0, 1e4])
def test_larger_moves_are_those_of_another_quadrature(size):
    """On both sides of the move at which the nodes are no longer shared; atoms may become densities and densities atoms."""
    rng = np.random.default_rng(1)
    mean = rng.standard_normal((3, 12)) * np.array([[1.0], [1.0], [0.01]])
    sigma = 10 ** rng.uniform(-4, 0, (3, 12))
    sigma[0, :3], sigma[1] = 0.0, 1.0
    direction = rng.uniform(-1, 1, mean.shape)
    direction /= np.abs(direction).max(axis=1, keepdims=True)
    moved = law_of(mean + size * sigma * direction, sigma * np.sqrt(1 + np.minimum(size, 0.9) * direction))
    found = informations_of(law_of(mean, sigma)).of(moved)
    np.testing.assert_allclose(found, scalar_informations(moved), rtol=1e-9)
    sigma[0, :3] = 1e-3
    other = law_of(mean, sigma)
    np.testing.assert_allclose(informations_of(moved).of(other), scalar_informations(other), rtol=1e-9)


def test_nodes_are_shared_up_to_a_quarter_of_a_width(monkeypatch):
    calls, own = [], scalar_quadrature._integrals
    monkeypatch.setattr(
        scalar_quadrature, "_integrals", lambda mixtures: calls.append(mixtures.count.sum()) or own(mixtures)
    )
    mean, sigma = np.array([[0.0, 1.0, 5.0]]), np.full((1, 3), 0.1)
    known = informations_of(law_of(mean, sigma))
    for size, again in ((0.24, 0), (0.26, 3)):
        known.of(law_of(mean + [[0.1 * size, 0.0, 0.0]], sigma))
        assert calls.pop() == again


def test_many_times_are_each_by_itself():
    """Grids, panels, atoms and single densities at one time or another, in one call."""
    rng = np.random.default_rng(2)
    sigma = 10.0 ** -np.arange(9)[:, None] * rng.uniform(0.1, 1, (9, 15)) * 10 ** -rng.uniform(0, 3, (9, 15))
    sigma[3, 1:], sigma[4], sigma[5, 2:] = 0.0, 0.0, 0.0
    mean = rng.standard_normal((9, 15))
    together = scalar_informations(law_of(mean, sigma))
    single = [scalar_informations(law_of(a, s)) for a, s in zip(mean, sigma, strict=True)]
    np.testing.assert_allclose(together, np.transpose(single), rtol=1e-14)


@pytest.mark.parametrize("seed", range(12))
def test_the_information_of_few_densities_is_exact(seed):
    """Two to four densities that overlap: poles of log Σ p_j near the line, which a grid of 0.4 widths is 1e-9 to 1e-7 off by."""
    rng = np.random.default_rng(seed)
    n = 2 + seed % 3
    mean, sigma = rng.uniform(0.0, 8.0, n), 10 ** rng.uniform(-0.3, 0.3, n)
    information, upper = scalar_informations(Marginals(mean=mean[:, None], variance=sigma**2))

    def density(z, i):
        return np.exp(-0.5 * ((z - mean[i]) / sigma[i]) ** 2) / (sigma[i] * np.sqrt(2 * np.pi))

    # Gauss-Legendre nodes, sixteen in each quarter of the least width
    ends = np.arange((mean - 12 * sigma).min(), (mean + 12 * sigma).max(), 0.25 * sigma.min())
    nodes, weights = np.polynomial.legendre.leggauss(16)
    z = (ends[:, None] + 0.125 * sigma.min() * (1 + nodes)).ravel()
    p = np.stack([density(z, i) for i in range(n)])
    share = xlogy(p, p * n) - xlogy(p, p.sum(axis=0))
    exact = float((share.sum(axis=0).reshape(-1, 16) @ weights).sum()) * 0.125 * sigma.min() / n
    assert float(information) == pytest.approx(exact, rel=1e-11)
    assert information <= upper
