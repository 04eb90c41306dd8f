"""The formulas of the table in 60-digit arithmetic, from dense matrices: independent of the package's numerics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import mpmath as mp
import numpy as np

DIGITS = 60


def matrix(array):
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in np.atleast_2d(array)])


def trace(m):
    return mp.fsum(m[i, i] for i in range(m.rows))


def log_det(m):
    """log det of a positive definite matrix."""
    return mp.log(mp.det(m))


def gaussian_kl(mean, covariance, prior):
    """KL(N(mean, covariance) ‖ N(0, prior)), one output."""
    inverse = prior**-1
    shift = (mean.T * inverse * mean)[0, 0]
    return (trace(inverse * covariance) - covariance.rows + log_det(prior) - log_det(covariance) + shift) / 2


@dataclass
class Exact:
    """Gradient flow of an ensemble on kernels whose entries are taken as exact; one output."""

    kernels: object
    y: np.ndarray

    def __post_init__(self):
        with mp.workdps(DIGITS):
            k = self.kernels
            self.theta, self.nngp = matrix(k.ntk), matrix(k.nngp)
            self.labels = matrix(np.reshape(self.y, (-1, 1)))
            values, self.v = mp.eigsy(self.theta)
            largest = max(values)
            self.values = [x if x > largest * mp.mpf(10) ** -40 else mp.mpf(0) for x in values]
            self.n = self.theta.rows
            self.y_modes = self.v.T * self.labels
            self.nngp_modes = self.v.T * self.nngp * self.v
            self.kappa = [self.nngp_modes[i, i] for i in range(self.n)]
            self.power = [self.kappa[i] + self.y_modes[i, 0] ** 2 for i in range(self.n)]

    @cached_property
    def test_blocks(self):
        k = self.kernels
        return tuple(matrix(a) for a in (k.ntk_test_train, k.nngp_test_train, k.nngp_test))

    def decay(self, tau):
        return [mp.exp(-tau * x) for x in self.values]

    def fitted(self, tau):
        return [-mp.expm1(-tau * x) for x in self.values]

    def response(self, tau):
        return [f / x if x > 0 else mp.mpf(0) for f, x in zip(self.fitted(tau), self.values, strict=True)]

    def law(self, tau):
        """Mean and covariance on the test points."""
        theta, nngp, test = self.test_blocks
        projected = theta * self.v * mp.diag(self.response(tau)) * self.v.T
        # z_τ(x) = z_0(x) - P z_0 + ...; at a training point i it is Σ_j v_ij e_j (v_j^T z_0), without cancellation
        start = mp.diag([mp.mpf(1)] * test.rows)
        for x, i in self.twins.items():
            start[x, x] = 0
            for j in range(self.n):
                projected[x, j] = -mp.fsum(self.v[i, q] * e * self.v[j, q] for q, e in self.left(tau))
        cross = projected * nngp.T * start
        covariance = start * test * start + projected * self.nngp * projected.T - cross - cross.T
        for x, i in self.twins.items():
            modes = [(q, self.v[i, q] * e) for q, e in self.left(tau)]
            covariance[x, x] = mp.fsum(a * b * self.nngp_modes[p, q] for p, a in modes for q, b in modes)
        mean = theta * self.v * mp.diag(self.response(tau)) * self.y_modes
        return mean, covariance

    @cached_property
    def twins(self):
        """Test points that are training points: their place → its."""
        k = self.kernels
        rows = {x: np.flatnonzero((k.ntk == row).all(axis=1)) for x, row in enumerate(k.ntk_test_train)}
        return {x: int(i[0]) for x, i in rows.items() if i.size}

    def left(self, tau):
        """(mode, e) of the modes in which the outputs start with a variance."""
        largest = max(self.kappa)
        return [(q, e) for q, e in enumerate(self.decay(tau)) if self.kappa[q] > largest * mp.mpf(10) ** -40]

    def columns(self, tau, label_noise=1.0, weight_noise=1e-2):
        """The columns of the parameters and of the training set, name → value."""
        with mp.workdps(DIGITS):
            tau, s2, w2 = mp.mpf(float(tau)), mp.mpf(float(label_noise)), mp.mpf(float(weight_noise))
            lam, power, n = self.values, self.power, range(self.n)
            e, f, a = self.decay(tau), self.fitted(tau), self.response(tau)
            moved = [f[i] * a[i] * power[i] for i in n]
            error = mp.fsum(e[i] ** 2 * power[i] for i in n) / self.n
            signal = mp.fsum((f[i] * self.y_modes[i, 0]) ** 2 for i in n)
            spread = mp.fsum(f[i] ** 2 * self.kappa[i] for i in n)
            folded = [self.folded(self.y_modes[i, 0], self.kappa[i]) for i in n]
            out = {
                "train_square_error": error,
                "train_gibbs_nll": error / 2 + mp.log(2 * mp.pi) / 2,
                "degrees_of_freedom": mp.fsum(f),
                "expected_optimism": 2 * s2 * mp.fsum(f) / self.n,
                "parameter_kl": mp.fsum(tau * lam[i] - f[i] + moved[i] / 2 for i in n),
                "parameter_kl_published": mp.fsum(tau * lam[i] + moved[i] for i in n),
                "parameter_distance_squared": mp.fsum(moved),
                "fisher_distance_squared": mp.fsum(f[i] ** 2 * power[i] for i in n),
                "fisher_action": mp.fsum(lam[i] * -mp.expm1(-2 * tau * lam[i]) / 2 * power[i] for i in n),
                "path_length_lower": mp.sqrt(max(signal, 2 / mp.pi * spread)),
                "path_length_upper_modes": mp.fsum(f[i] * folded[i] for i in n),
                "parameter_kl_rate": mp.fsum(lam[i] * f[i] + lam[i] * a[i] * e[i] * power[i] for i in n),
                "parameter_kl_weight_noise": mp.fsum(
                    ((e[i] ** 2 + w2) / (1 + w2) - 1 + mp.log((1 + w2) / (e[i] ** 2 + w2))) / 2
                    + lam[i] * (a[i] * self.y_modes[i, 0]) ** 2 / (2 * (1 + w2))
                    for i in n
                ),
                "parameter_label_information": mp.fsum(mp.log1p(s2 * lam[i] * (a[i] / e[i]) ** 2) for i in n) / 2,
                "fisher_trace": mp.fsum(lam),
            }
            out["data_information_train"] = self.train_kl(tau)
            return out

    def third_kernel_columns(self, tau, omega):
        """KL(p(θ_τ|D) ‖ p_0) at infinite width and its rate, from the time integral of each pair of modes."""
        with mp.workdps(DIGITS):
            tau, kept = mp.mpf(float(tau)), self.live()
            third, lam = self.v.T * matrix(omega) * self.v, self.values
            e, f, a = self.decay(tau), self.fitted(tau), self.response(tau)
            total = mp.fsum(tau * lam[i] - f[i] for i in kept)
            rate = mp.fsum(lam[i] * f[i] for i in kept)
            for i in kept:
                for j in kept:
                    weight = (self.nngp_modes[j, i] + self.y_modes[i, 0] * self.y_modes[j, 0]) * third[i, j]
                    both = lam[i] + lam[j]
                    total += weight * (f[i] / lam[i] + mp.expm1(-tau * both) / both) / lam[j]
                    rate += weight * e[i] * a[j]
            return {"parameter_kl_infinite_width": total, "parameter_kl_infinite_width_rate": rate}

    def path_length(self, tau):
        """∫ √Σ_j λ_j² e^{-2λ_j s} E‖r_j‖² ds, between places that grow by a factor of four."""
        with mp.workdps(18):
            weight = [(x**2 * p, x) for x, p in zip(self.values, self.power, strict=True) if x > 0]
            end = min(mp.mpf(float(tau)), 45 / min(x for _, x in weight))
            edges = [end]
            while edges[-1] * max(x for _, x in weight) > 0.1:
                edges.append(edges[-1] / 4)
            return mp.quad(lambda s: mp.sqrt(mp.fsum(w * mp.exp(-2 * x * s) for w, x in weight)), [0, *edges[::-1]])

    @staticmethod
    def folded(mean, variance):
        """E|r| of r ~ N(mean, variance)."""
        if variance <= 0:
            return abs(mean)
        x = mean**2 / (2 * variance)
        return mp.sqrt(2 * variance / mp.pi) * mp.exp(-x) + abs(mean) * mp.erf(mp.sqrt(x))

    def live(self):
        return [i for i in range(self.n) if self.values[i] > 0]

    def block(self, m, kept):
        return mp.matrix([[m[i, j] for j in kept] for i in kept])

    def train_kl(self, tau):
        """On the modes of Θ (where K has no others), with log det R = -τ Tr Θ."""
        kept, e, f = self.live(), self.decay(tau), self.fitted(tau)
        if not kept or tau == 0:
            return mp.mpf(0)
        k = self.block(self.nngp_modes, kept)
        inverse, r = k**-1, mp.diag([e[i] for i in kept])
        mu = mp.matrix([f[i] * self.y_modes[i, 0] for i in kept])
        change = trace(inverse * r * k * r) - len(kept)
        return change / 2 + tau * mp.fsum(self.values) + (mu.T * inverse * mu)[0, 0] / 2

    def test_columns(self, tau, y_test, label_noise=1.0):
        """The columns of the test points."""
        with mp.workdps(DIGITS):
            tau, s2 = mp.mpf(float(tau)), mp.mpf(float(label_noise))
            theta, _, prior = self.test_blocks
            mean, covariance = self.law(tau)
            m = mean.rows
            points, y = range(m), [mp.mpf(float(x)) for x in np.ravel(y_test)]
            var = [covariance[x, x] for x in points]
            bias = [(y[x] - mean[x, 0]) ** 2 for x in points]
            weights = theta * self.v * mp.diag(self.response(tau))
            signal = [s2 * mp.fsum(weights[x, j] ** 2 for j in range(self.n)) for x in points]
            single = [
                (var[x] / prior[x, x] - 1 - mp.log(var[x] / prior[x, x]) + mean[x, 0] ** 2 / prior[x, x]) / 2
                for x in points
            ]
            square = mp.fsum(bias[x] + var[x] for x in points) / m
            residual = mp.matrix([y[x] - mean[x, 0] for x in points])
            noisy = covariance + mp.eye(m)
            out = {
                "output_variance": mp.fsum(var) / m,
                "expected_square_error": square,
                "ensemble_square_error": mp.fsum(bias) / m,
                "gibbs_nll": square / 2 + mp.log(2 * mp.pi) / 2,
                "bayes_nll": mp.fsum(bias[x] / (1 + var[x]) + mp.log(2 * mp.pi * (1 + var[x])) for x in points)
                / (2 * m),
                "bayes_nll_joint": ((residual.T * noisy**-1 * residual)[0, 0] + log_det(noisy) + m * mp.log(2 * mp.pi))
                / (2 * m),
                "data_information": mp.fsum(single) / m,
                "gaussian_label_information": mp.fsum(mp.log1p(signal[x] / var[x]) for x in points) / (2 * m),
                "label_information_unit_noise": mp.log(mp.e * mp.fsum((v - mp.fsum(y) / m) ** 2 for v in y) / m) / 2
                - square / 2,
                "fisher_trace_test": mp.fsum(mp.mpf(float(x)) for x in np.diagonal(self.kernels.ntk_test)),
            }
            for name, sign in (("lower", 0), ("upper", 1)):
                out[f"input_information_kolchinsky_tracey_{name}"] = self.pairwise(mean, var, sign)
            return out

    @staticmethod
    def pairwise(mean, var, kl):
        """-mean log mean e^{-D}: D the Bhattacharyya distance, or the KL divergence."""
        points, total = range(len(var)), mp.mpf(0)
        for i in points:
            row = mp.mpf(0)
            for j in points:
                gap = (mean[i, 0] - mean[j, 0]) ** 2
                both = var[i] + var[j]
                if kl:
                    d = gap / (2 * var[j]) + (var[i] / var[j] - 1 - mp.log(var[i] / var[j])) / 2
                else:
                    d = gap / (4 * both) + mp.log(both / (2 * mp.sqrt(var[i] * var[j]))) / 2
                row += mp.exp(-d) if d < 10**5 else 0
            total -= mp.log(row / len(var))
        return total / len(var)

    def joint_kl(self, tau, points=None):
        """KL of the outputs on (some of) the test points; 0 at the start."""
        with mp.workdps(DIGITS):
            if tau == 0:
                return mp.mpf(0)
            mean, covariance = self.law(mp.mpf(float(tau)))
            prior, kept = self.test_blocks[2], range(mean.rows) if points is None else points
            blocks = [mp.matrix([[b[i, j] for j in kept] for i in kept]) for b in (covariance, prior)]
            return gaussian_kl(mp.matrix([mean[i, 0] for i in kept]), *blocks)

    def label_information(self, tau, root):
        """I(z;Y|X,x) on the training set and I(θ;Y|X), for labels of covariance C = root root^T."""
        with mp.workdps(DIGITS + int(2 * float(tau) * float(max(self.values)) / 2.3)):
            tau, kept = mp.mpf(float(tau)), self.live()
            modes = self.v.T * matrix(root)
            c = self.block(modes * modes.T, kept)
            w = mp.diag([mp.expm1(tau * self.values[i]) for i in kept])
            k = self.block(self.nngp_modes, kept)
            theta = mp.diag([self.values[i] for i in kept])
            one = mp.eye(len(kept))
            return tuple(mp.log(mp.det(one + noise**-1 * w * c * w)) / 2 for noise in (k, theta))


def places(mean, sigma):
    """Where Gaussians lie, and where two of their densities cross."""
    n = len(mean)
    edges = {mean[i] + s * sigma[i] for i in range(n) for s in (-12, -8, -5, -3, -1, 0, 1, 3, 5, 8, 12)}
    for a in range(n):
        for b in range(a):
            p, q = 1 / (2 * sigma[a] ** 2), 1 / (2 * sigma[b] ** 2)
            two, one = q - p, 2 * (p * mean[a] - q * mean[b])
            none = q * mean[b] ** 2 - p * mean[a] ** 2 - mp.log(sigma[a] / sigma[b])
            roots = mp.polyroots([two, one, none]) if two else [-none / one]
            for root in roots:
                if mp.im(root) == 0:
                    slope = abs(2 * two * root + one)
                    edges |= {root + s / slope for s in (-100, -30, -10, -3, 0, 3, 10, 30, 100)}
    return edges


def leave_one_out(mean, sigma):
    """The leave-one-out bound of Gaussians, by quadrature between all places where two of the densities cross."""
    with mp.workdps(16):
        mean, sigma = ([mp.mpf(float(x)) for x in values] for values in (mean, sigma))
        n = len(mean)

        def log_p(j, z):
            return -(((z - mean[j]) / sigma[j]) ** 2) / 2 - mp.log(sigma[j]) - mp.log(2 * mp.pi) / 2

        def integrand(i, z):
            own, others = log_p(i, z), [log_p(j, z) for j in range(n) if j != i]
            top = max(others)
            return mp.exp(own) * (own - top - mp.log(mp.fsum(mp.exp(x - top) for x in others) / (n - 1)))

        edges = places(mean, sigma)
        total = mp.mpf(0)
        for i in range(n):
            inside = sorted(z for z in edges if abs(z - mean[i]) <= 12 * sigma[i])
            total += mp.quad(lambda z, i=i: integrand(i, z), inside)
        return float(total / n)
