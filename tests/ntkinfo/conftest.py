"""Linear models, whose training can be followed exactly in parameter space: the oracle of the closed forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import expm
from wide import WIDE

import ntkinfo


@pytest.fixture(scope="session")
def gaussian_timeline():
    """A timeline over 18 decades, its ensemble, and its data."""
    data = ntkinfo.gaussian_task(20, 30, x_dim=6, seed=1)
    kernels = ntkinfo.Kernels.compute(ntkinfo.mlp().kernel_fn, data.x_train, data.x_test)
    ensemble = ntkinfo.Ensemble(kernels, data.y_train)
    options = {"y_test": data.y_test, "entropy_y": data.entropy_y, "label_noise": data.label_noise}
    return ntkinfo.timeline(ensemble, WIDE, **options), ensemble, data


@dataclass(frozen=True)
class LinearModel:
    """z = Φθ + Ψω with θ, ω ~ N(0, I); only θ is trained. Hence Θ = ΦΦ^T and K = ΦΦ^T + ΨΨ^T."""

    phi: np.ndarray
    psi: np.ndarray
    n_train: int
    y: np.ndarray
    y_test: np.ndarray

    @property
    def kernels(self):
        n, theta = self.n_train, self.phi @ self.phi.T
        nngp = theta + self.psi @ self.psi.T
        return ntkinfo.Kernels(
            ntk=theta[:n, :n],
            nngp=nngp[:n, :n],
            ntk_test_train=theta[n:, :n],
            nngp_test_train=nngp[n:, :n],
            ntk_test=theta[n:, n:],
            nngp_test=nngp[n:, n:],
        )

    def ensemble(self, **settings):
        return ntkinfo.Ensemble(self.kernels, self.y, **settings)

    def parameters(self, tau, ridge=0.0, step=None):
        """Maps (G, b) with (θ, ω)_τ = G (θ, ω)_0 + b: by the matrix exponential of the flow, or by the steps of descent."""
        n, p, q = self.n_train, self.phi.shape[1], self.psi.shape[1]
        phi, psi, k = self.phi[:n], self.psi[:n], self.y.shape[1]
        size = 2 * p + q + k  # state: θ, ω, θ_0 (for the ridge towards it), and the labels' columns
        rate = np.zeros((size, size))
        rate[:p, :p] = -phi.T @ phi - ridge * np.eye(p)
        rate[:p, p : p + q] = -phi.T @ psi
        rate[:p, p + q : 2 * p + q] = ridge * np.eye(p)
        rate[:p, 2 * p + q :] = phi.T @ self.y
        flow = (
            expm(tau * rate) if step is None else np.linalg.matrix_power(np.eye(size) + step * rate, round(tau / step))
        )
        start = np.zeros((size, p + q))
        start[: p + q] = np.eye(p + q)
        start[p + q : 2 * p + q, :p] = np.eye(p)
        return (flow @ start)[: p + q], flow[: p + q, 2 * p + q :]

    def law(self, tau, on, **settings):
        """Mean and covariance of the outputs, from the law of the parameters."""
        where = slice(None, self.n_train) if on == "train" else slice(self.n_train, None)
        features = np.hstack([self.phi, self.psi])[where]
        gain, shift = self.parameters(tau, **settings)
        return features @ shift, features @ gain @ gain.T @ features.T


@pytest.fixture
def linear_model():
    """A factory of random linear models."""

    def build(seed=0, n=6, m=4, parameters=9, frozen=5, outputs=1):
        rng = np.random.default_rng(seed)
        phi = rng.standard_normal((n + m, parameters)) / np.sqrt(parameters)
        psi = rng.standard_normal((n + m, frozen)) / np.sqrt(max(frozen, 1))
        y = rng.standard_normal((n + m, outputs))
        return LinearModel(phi, psi, n, y[:n], y[n:])

    return build


@pytest.fixture
def random_marginals():
    """A factory of random laws of single points."""

    def build(seed=0, n=7, outputs=1, smallest=0.2, largest=1.0):
        rng = np.random.default_rng(seed)
        return ntkinfo.Marginals(rng.standard_normal((n, outputs)), rng.uniform(smallest, largest, n))

    return build
