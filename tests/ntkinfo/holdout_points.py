"""Columns of Gaussian outputs at given points from dense algebra in 60 digits; see ``holdout``."""

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
NOTHING = -(
    10**6
)  # e to that power is 0 beside 1; of a power with 10⁹ digits before the point mpmath would not come back
_exp = np.vectorize(lambda power: mp.exp(power) if power > NOTHING else mp.mpf(0), otypes=[object])


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
            "expected_square_error": square,
            "ensemble_square_error": self.bias.sum() / m,
            "output_variance": self.variance.sum() / m,
            "gibbs_nll": square / 2 + k * mp.log(2 * mp.pi) / 2,
        }
        if self.case.entropy_y is not None:
            found |= self.of_real_labels(mp.mpf(self.case.entropy_y), square)
        elif k > 1:
            p = np.unique(self.labels, axis=0, return_counts=True)[1] / m
            logits = _exp(self.mean + self.variance[:, None] / 2).sum(axis=1)
            gain = ((self.y * self.mean).sum() - _log(logits).sum()) / m
            found["label_information_discrete"] = gain - sum(mp.mpf(x) * mp.log(x) for x in p)
        return found | (self.of_variances() if min(self.variance) > 0 else {})

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
        apart = numbers(self.labels[:, None] - self.labels) - (self.residual[:, None] - self.residual)
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
