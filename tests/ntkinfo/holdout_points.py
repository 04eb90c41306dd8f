"""Columns of Gaussian outputs at given points from dense algebra in 60 digits; see ``holdout``."""

import itertools
from dataclasses import dataclass

import mpmath as mp
import numpy as np


def numbers(array):
    """The array in mpmath's numbers."""
    return np.vectorize(lambda x: mp.mpf(float(x)), otypes=[object])(array)


def log_det(m):
    return mp.log(mp.det(mp.matrix(m.tolist())))


def inverse(m):
    return np.array((mp.matrix(m.tolist()) ** -1).tolist(), dtype=object).reshape(m.shape)


_log = np.vectorize(mp.log, otypes=[object])
# e to that power is 0 beside 1; of a power with 10⁹ digits before the point mpmath would not come back
NOTHING = -(10**6)
_exp = np.vectorize(lambda power: mp.exp(power) if power > NOTHING else mp.mpf(0), otypes=[object])


def positive_definite(m):
    """By more than what 60 digits leave of it."""
    values = mp.eigsy(mp.matrix(m.tolist()), eigvals_only=True)
    return min(values) > mp.mpf(10) ** -40 * max(values)


def below(x):
    """P(a standard normal variable < x); beyond a thousand deviations nothing is left of it."""
    return mp.ncdf(x) if abs(x) < 1000 else mp.mpf(x > 0)


@dataclass
class OfPoints:
    """Law, prior and residual y - mean at some points; the residual is given, since it may be far below the mean."""

    case: object
    labels: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    prior: np.ndarray
    residual: np.ndarray

    def __post_init__(self):
        self.y, (self.m, self.k) = numbers(self.labels), self.labels.shape
        self.variance, self.start = np.diagonal(self.covariance), np.diagonal(self.prior)
        self.bias = (self.residual**2).sum(axis=1)

    def columns(self):
        k, m, square = self.k, self.m, (self.bias + self.k * self.variance).sum() / self.m
        found = {
            "clipped_square_risk": self.clipped(),
            "expected_square_error": square,
            "ensemble_square_error": self.bias.sum() / m,
            "output_variance": self.variance.sum() / m,
            "gibbs_nll": square / 2 + k * mp.log(2 * mp.pi) / 2,
        }
        if self.case.entropy_y is not None:
            found |= self.of_real_labels(mp.mpf(self.case.entropy_y), square)
        elif k == 1:
            chances = [below(-y * z / mp.sqrt(v)) if v else mp.mpf(y * z < 0) for y, z, v in self.margins()]
            found["zero_one_risk"] = sum(chances) / m
            costs = [self.softplus(-2 * y * z, 2 * mp.sqrt(v)) for y, z, v in self.margins()]
            p = np.unique(self.labels, return_counts=True)[1] / m
            found["label_information_discrete"] = -sum(costs) / m - sum(mp.mpf(x) * mp.log(x) for x in p)
        else:
            p = np.unique(self.labels, axis=0, return_counts=True)[1] / m
            logits = _exp(self.mean + self.variance[:, None] / 2).sum(axis=1)
            gain = ((self.y * self.mean).sum() - _log(logits).sum()) / m
            found["label_information_discrete"] = gain - sum(mp.mpf(x) * mp.log(x) for x in p)
        return found | (self.of_variances() if min(self.variance) > 0 else {})

    def margins(self):
        return zip(self.y[:, 0], self.mean[:, 0], self.variance, strict=True)

    def clipped(self):
        """E min(u², 1) of each output's error u ~ N(d, v): v (1 - h' at the ends) in the middle, 1 beyond."""
        total = mp.mpf(0)
        for residual, v in zip(self.residual, self.variance, strict=True):
            for d in -residual:
                if v == 0:
                    total += min(d**2, 1)
                    continue
                s = mp.sqrt(v)
                low, high = (-1 - d) / s, (1 - d) / s
                outside = below(low) + below(-high)
                ends = s * ((d - 1) * _exp(-(low**2) / 2) - (d + 1) * _exp(-(high**2) / 2)) / mp.sqrt(2 * mp.pi)
                total += (d**2 + v) * (1 - outside) + ends + outside
        return total / self.residual.size

    @staticmethod
    def softplus(mean, scale):
        """E log(1 + e^x), x ~ N(mean, scale²)."""
        if scale < 1e-9:  # to relative 1e-36
            chance = 1 / (1 + mp.exp(-mean))
            return mp.log1p(mp.exp(mean)) + scale**2 * chance * (1 - chance) / 2
        with mp.workdps(25):
            kinks = [(x - mean) / scale for x in (-40, -10, 0, 10, 40)]
            places = [-12, *sorted(t for t in (*kinks, -6, -2, 0, 2, 6) if abs(t) < 12), 12]

            def value(t):
                x = mean + scale * t
                return mp.npdf(t) * (mp.log1p(mp.exp(-abs(x))) + max(x, 0))

            return mp.quad(value, places)

    def of_real_labels(self, entropy, square):
        """Informations by decoders; those with parameters fit them on the even points."""
        k, log_2pi = self.k, mp.log(2 * mp.pi)
        found = {"label_information_unit_noise": entropy - square / 2 - k * log_2pi / 2}
        squares = (self.bias + k * self.variance) / k
        if self.m < 2 * (k + 1) or squares[::2].sum() == 0:
            return found
        noise, error = squares[::2].mean(), squares[1::2].mean()
        found["label_information_best_noise"] = entropy - k * (log_2pi + mp.log(noise) + error / noise) / 2
        covariance, second = self.affine()
        if covariance is not None:
            spread = np.trace(inverse(covariance) @ second)
            found["label_information_affine"] = entropy - (k * log_2pi + log_det(covariance) + spread) / 2
        return found

    def affine(self):
        """Noise of the best affine decoder y ≈ a + z B on the even points, and second moment of its errors on the odd ones."""
        even, odd, one = slice(0, None, 2), slice(1, None, 2), numbers(np.eye(self.k))
        z, s = self.mean, self.residual
        dz, ds = z[even] - z[even].mean(axis=0), s[even] - s[even].mean(axis=0)
        v, w = self.variance[even].mean(), self.variance[odd].mean()
        c_zz = dz.T @ dz / len(dz) + v * one
        if not mp.det(mp.matrix(c_zz.tolist())) > mp.mpf(10) ** -40:
            return None, None
        gap = inverse(c_zz) @ (v * one - dz.T @ ds / len(dz))  # I - B
        noise = ds + dz @ gap
        error = s[odd] - s[even].mean(axis=0) + (z[odd] - z[even].mean(axis=0)) @ gap
        slope = one - gap
        found = [(e.T @ e / len(e) + x * slope.T @ slope) for e, x in ((noise, v), (error, w))]
        return (None, None) if mp.det(mp.matrix(found[0].tolist())) == 0 else found

    def of_variances(self):
        k, m, mean, variance = self.k, self.m, self.mean, self.variance
        gap = variance / self.start - 1 - _log(variance / self.start)
        apart = self.y[:, None] - self.y - (self.residual[:, None] - self.residual)
        square, mine, theirs = (apart**2).sum(axis=2), variance[:, None], variance[None]
        far = {
            "lower": square / (4 * (mine + theirs)) + _log((mine + theirs) ** 2 / (4 * mine * theirs)) * k / 4,
            "upper": square / (2 * theirs) + (mine / theirs - 1 - _log(mine / theirs)) * k / 2,
        }
        found = {
            "bayes_nll": (self.bias / (1 + variance) + k * _log(2 * mp.pi * (1 + variance))).sum() / (2 * m),
            "data_information": (k * gap + (mean**2).sum(axis=1) / self.start).sum() / (2 * m),
        }
        for name, distance in far.items():
            found[f"input_information_kolchinsky_tracey_{name}"] = -_log(_exp(-distance).sum(axis=1) / m).sum() / m
        return found

    def joint_nll(self):
        """-log N(Y; mean, 1 + covariance) of all points together, per point."""
        noisy = self.covariance + numbers(np.eye(self.m))
        squares = np.trace(self.residual.T @ inverse(noisy) @ self.residual)
        return (squares / self.k + log_det(noisy) + self.m * mp.log(2 * mp.pi)) * self.k / (2 * self.m)

    def joint_information(self):
        """KL of the law of all points together from the prior."""
        weight = inverse(self.prior)
        spread = np.trace(weight @ self.covariance) - self.m + log_det(self.prior) - log_det(self.covariance)
        return (self.k * spread + np.trace(self.mean.T @ weight @ self.mean)) / 2

    def information(self):
        """That of a scalar output, by Gauss-Legendre sums between places on both sides of all densities."""
        apart = self.y[:, 0] - self.y[0, 0] - (self.residual[:, 0] - self.residual[0, 0])
        sigma, total = [mp.sqrt(v) for v in self.variance], mp.mpf(0)
        places = sorted({a + t * s for a, s in zip(apart, sigma, strict=True) for t in range(-10, 11)})
        nodes = [[mp.mpf(float(x)) for x in rule] for rule in np.polynomial.legendre.leggauss(10)]
        for low, high in itertools.pairwise(places):
            half = (high - low) / 2
            for x, weight in zip(*nodes, strict=True):
                far = [(low + half * (1 + x) - a) / s for a, s in zip(apart, sigma, strict=True)]
                p = [mp.npdf(t) / s if abs(t) < 14 else mp.mpf(0) for t, s in zip(far, sigma, strict=True)]
                total += weight * half * sum(own * mp.log(self.m * own / sum(p)) for own in p if own)
        return total / self.m
