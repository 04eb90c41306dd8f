"""Random ensembles of every kind, and the columns of their tables from dense algebra in 60 digits: any number of outputs, ridge,
descent, last layer, centred; labels of classes; noises; training points among the test points. A second generator beside
``test_exact_sweep``, with formulas written anew.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import mpmath as mp
import numpy as np
from holdout_points import OfPoints, inverse, numbers, positive_definite

import ntkinfo
from dualib.core.special import EPS
from ntkinfo.activations.registry import names

SWEEP = int(os.environ.get("HOLDOUT_SWEEP", "14"))  # cases of every slow sweep; set it for a wider one
RULES = ("flow", "flow", "ridge", "descent", "nngp", "centred")


@dataclass
class Case:
    """One random ensemble with its setting."""

    ensemble: ntkinfo.Ensemble
    y: np.ndarray
    y_test: np.ndarray
    noises: dict
    entropy_y: float | None
    taus: np.ndarray
    step: float | None

    @classmethod
    def draw(cls, seed, generator=77, *, mixed=False, size=None, network=False, dropped=False):
        """A case; `mixed` has several training points, with their labels, beside one or two others as test points. Of `size` training points,
        where it is given; of a random network's kernels with `network`; with `dropped` of kernels all but two of whose eigenvalues are of the
        order of the last digit, and exact in it, at times up to their inverses.
        """
        rng = np.random.default_rng([generator, seed])
        n, m, rule = int(rng.integers(3, 8)), int(rng.integers(1, 7)), RULES[seed % len(RULES)]
        n = size or n
        sizes = 10 ** (-rng.uniform(0, 14) * rng.permutation(np.concatenate([[0, 1], rng.uniform(size=n + m - 2)])) / 2)
        root = np.linalg.qr(rng.standard_normal((n + m, n + m)))[0] * sizes
        degrees = [root @ (np.eye(n + m) + 0.3 * (w @ w.T)) @ root.T for w in rng.standard_normal((3, n + m, n + m))]
        index = np.arange(n + m)
        if rng.uniform() < 0.3:
            index[n] = rng.integers(n)
        if mixed:
            seen, fresh = rng.permutation(n)[: rng.integers(2, n + 1)], np.arange(n, n + min(m, 2))
            index = np.append(np.arange(n), rng.permutation(np.append(seen, fresh)))
        if dropped:
            whole = _nearly_singular_kernels(rng, n + m)
        elif network:
            whole = _network_kernels(rng, n + m)
        else:
            whole = {
                name: sum((q + 1.0) ** power * degree for q, degree in enumerate(degrees)) * 10 ** (seed % 5 - 2.0)
                for power, name in enumerate(("nngp", "ntk", "omega"))
            }
        if mixed:
            m = index.size - n
        blocks = {}
        for name, k in whole.items():
            k = (0.5 * (k + k.T))[np.ix_(index, index)]
            blocks |= {name: k[:n, :n], f"{name}_test_train": k[n:, :n], f"{name}_test": k[n:, n:]}
        if seed % 2:
            blocks = {name: block for name, block in blocks.items() if not name.startswith("omega")}
        kind, k = ("real", "real", "signs", "onehot")[seed % 4], int(rng.integers(1, 4))
        if kind == "onehot":
            y, y_test = (np.eye(k + 1)[rng.integers(k + 1, size=a)] for a in (n, m))
        else:
            k = 1 if kind == "signs" else k
            y, y_test = rng.standard_normal((n, k)), rng.standard_normal((m, k))
            y, y_test = (np.sign(a) if kind == "signs" else a for a in (y, y_test))
        if rng.uniform() < 0.5 and index[n] < n:  # a training point with its label
            y_test[0] = y[index[n]]
        if mixed:
            y_test = np.where(index[n:, None] < n, y[index[n:] % n], y_test)
        options = {"ridge": {"ridge": 10 ** rng.uniform(-6, 0)}, "nngp": {"mode": "nngp"}, "centred": {"centred": True}}
        taus, step = np.append(10 ** rng.uniform(-3, 18 if dropped else 8, 2), np.inf), None
        if rule == "descent":
            step = rng.uniform(0.2, 1.8) / float(np.linalg.eigvalsh(blocks["ntk"])[-1])
            options["descent"] = {"learning_rule": ntkinfo.GradientDescent(step)}
            taus[:2] = ntkinfo.GradientDescent(step).round(taus[:2])
        ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(**blocks), y, **options.get(rule, {}))
        noises = {
            "label_noise": (0.0, 1.0, rng.uniform())[seed % 3],
            "output_noise": (0.0, 0.0, rng.uniform())[seed // 2 % 3],
            "weight_noise": rng.uniform(1e-3, 1),
        }
        return cls(ensemble, y, y_test, noises, 0.7 if kind == "real" else None, taus, step)

    @cached_property
    def modes(self):
        """Eigenvalues and eigenvectors of Θ, K, K among the latter, and its inverse, in as many digits as are asked for first."""
        theta, kernel = numbers(self.ensemble.theta), numbers(self.ensemble.kernels.nngp)
        values, vectors = mp.eigsy(mp.matrix(theta.tolist()))
        v = np.array(vectors.tolist(), dtype=object).reshape(theta.shape)
        among = v.T @ kernel @ v
        return [values[i] for i in range(len(values))], v, kernel, among

    @cached_property
    def inverse_modes(self):
        return inverse(self.modes[3])


def _nearly_singular_kernels(rng, points):
    """Kernels whose entries are multiples of 2⁻⁵⁰ below 8: K₁ + K₂, K₁ + 2K₂ and K₁ + 4K₂, each K_q a b bᵀ of signs b and 2⁻⁵⁰ D Dᵀ."""
    first = np.where(np.arange(points) % 2, 1.0, rng.choice([-1.0, 1.0], points))
    signs = [first, np.where(np.arange(points) == rng.integers(points), -first, np.roll(first, 1))]
    entries = [rng.integers(-1, 2, (points, points)) + 2 * np.eye(points) for _ in signs]
    parts = [np.outer(b, b) + 2.0**-50 * (d @ d.T) for b, d in zip(signs, entries, strict=True)]
    return {name: parts[0] + 2.0**power * parts[1] for power, name in enumerate(("nngp", "ntk", "omega"))}


def _network_kernels(rng, points):
    """All three kernels of one to three layers of a random activation, on points of a few or many dimensions."""
    activation = str(rng.choice(names()))
    x = rng.standard_normal((points, int(rng.integers(2, 12)))) * 10 ** rng.uniform(-0.5, 0.5)
    options = {"hidden_layers": int(rng.integers(1, 4)), "w_std": rng.uniform(0.8, 2), "b_std": rng.uniform(0, 0.5)}
    kernels = ntkinfo.kernels.dense(x, activation=activation, **options)
    found = {"nngp": kernels.nngp, "ntk": kernels.ntk, "omega": kernels.omega}
    return {name: kernel for name, kernel in found.items() if kernel is not None}


class Truth:
    """The columns at one time, where they have a value: those in `columns` are missing otherwise."""

    def __init__(self, case, tau):
        e, self.case, self.k = case.ensemble, case, case.y.shape[1]
        self.lam, self.v, self.kernel, self.modes = case.modes
        self.y, self.rho = numbers(case.y), mp.mpf(e.ridge)
        self.positive = min(self.lam) > 0  # what is less is the rounding of the kernel itself
        self.tau = mp.inf if np.isinf(tau) else mp.mpf(float(tau))
        rates = [x + self.rho for x in self.lam]
        if np.isinf(tau):
            decay = [mp.mpf(0)] * len(rates)
        elif case.step is None:
            decay = [mp.exp(-self.tau * s) for s in rates]
        else:
            decay = [(1 - mp.mpf(case.step) * s) ** round(float(tau) / case.step) for s in rates]
        self.e, self.a = np.array(decay), np.array([(1 - x) / s for x, s in zip(decay, rates, strict=True)])
        self.f = self.lam * self.a
        self.r = np.array([(self.rho + x * d) / s for x, d, s in zip(self.lam, decay, rates, strict=True)])
        self.y_modes = self.v.T @ self.y
        self.kappa = np.diagonal(self.modes) * int(not e.centred)
        self.y2 = (self.y_modes**2).sum(axis=1)
        self.power = self.k * self.kappa + self.y2

    def conditioning(self, name, of_variance):
        """By how much rounding of the kernels in the order of positive matrices can move a bound that needs an inverse of them; the
        variances of the outputs are known to `of_variance` of themselves.
        """
        if name == "data_information_train":
            matrices, known = [self.modes], [EPS]
        else:
            matrices, known = [self.points().covariance, self.points().prior], [of_variance, EPS]
        largest, lost = float(max(np.diagonal(matrices[-1]))), 0.0
        for m, relative in zip(matrices, known, strict=True):
            error = max(EPS * largest, relative * float(max(np.diagonal(m))))
            least = np.linalg.eigvalsh(m.astype(float))[0]
            lost = max(lost, error / least if least > error else 1.0)
        return lost

    def spectral(self):
        k, n, s2, w2 = self.k, len(self.lam), *(mp.mpf(self.case.noises[x]) for x in ("label_noise", "weight_noise"))
        f, a, r, lam, log_r = (
            self.f,
            self.a,
            self.r,
            np.array(self.lam),
            [mp.log(abs(x)) if x else -mp.inf for x in self.r],
        )
        moved, lost, random = (f * a * self.power).sum(), -sum(log_r), int(not self.case.ensemble.centred)
        error = (r**2 * self.power).sum() / n
        noisy = ((r**2 + w2) / (1 + w2) - 1 + np.array([mp.log((1 + w2) / (x**2 + w2)) for x in r])).sum() / 2
        step = self.case.step and mp.mpf(self.case.step)
        rates = lam + self.rho
        action = (
            self.power
            * lam**2
            * (
                (1 - self.e**2) / (2 * rates)
                if step is None
                else step * (1 - self.e**2) / (1 - (1 - step * rates) ** 2)
            )
        )
        found = {
            "train_square_error": error,
            "train_gibbs_nll": error / 2 + k * mp.log(2 * mp.pi) / 2,
            "degrees_of_freedom": f.sum(),
            "expected_optimism": 2 * s2 * k * f.sum() / n,
            "parameter_kl": moved / 2 + (k * (lost - f.sum()) if random else 0),
            "parameter_kl_published": moved + k * lost,
            "parameter_kl_weight_noise": (f * a * self.y2).sum() / (2 * (1 + w2)) + random * k * noisy,
            "parameter_distance_squared": moved,
            "fisher_distance_squared": (f**2 * self.power).sum(),
            "fisher_action": action.sum(),
            "fisher_trace": k * lam.sum(),
            "path_length_lower": mp.sqrt(max((f**2 * self.y2).sum(), 2 / mp.pi * k * (f**2 * self.kappa).sum())),
            "parameter_label_information": self.label_information(s2),
        }
        return found | self.third() | self.lengths()

    def lengths(self):
        """What bounds the path's length from above, mode by mode and by its speed, and the joint KL of the training outputs."""
        k, step, n = self.k, self.case.step and mp.mpf(self.case.step), len(self.lam)
        if step is None:
            left = self.f
        else:
            factors = [1 - step * x for x in self.lam]
            steps = [mp.mpf(1) if f == 1 else (1 - abs(e)) / (1 - abs(f)) for f, e in zip(factors, self.e, strict=True)]
            left = [step * x * s for x, s in zip(self.lam, steps, strict=True)]
        norms = []
        for y2, v in zip(self.y2, self.kappa, strict=True):
            front = mp.sqrt(2 * v) * mp.gamma(mp.mpf(k + 1) / 2) / mp.gamma(mp.mpf(k) / 2)
            norms.append(front * mp.hyp1f1(-0.5, mp.mpf(k) / 2, -y2 / (2 * v)) if v else mp.sqrt(y2))
        found = {"path_length_upper_modes": sum(a * b for a, b in zip(left, norms, strict=True))}
        e = self.case.ensemble
        if not e.centred and min(abs(x) for x in self.r) > 0:
            weight = self.case.inverse_modes
            change = [self.r[i] * self.r[j] * self.modes[i, j] * weight[i, j] for i in range(n) for j in range(n)]
            shift = (self.f[:, None] * self.y_modes).T
            spread = k * (sum(change) - n - 2 * sum(mp.log(abs(x)) for x in self.r))
            found["data_information_train"] = (spread + np.trace(shift @ weight @ shift.T)) / 2
        return found

    def label_information(self, s2):
        if not s2 or self.case.ensemble.centred:
            return mp.inf if s2 else mp.mpf(0)
        terms = [
            mp.log1p(s2 * x * (a / r) ** 2) if r else mp.inf for x, a, r in zip(self.lam, self.a, self.r, strict=True)
        ]
        return self.k * sum(terms) / 2

    def third(self):
        e = self.case.ensemble
        plain = self.case.step is None and not self.rho and not e.centred and e.mode == "ntk"
        if e.kernels.omega is None or not plain or self.tau == mp.inf:
            return {}
        omega, lam, n = self.v.T @ numbers(e.kernels.omega) @ self.v, self.lam, range(len(self.lam))
        weight = (self.k * self.modes + self.y_modes @ self.y_modes.T) * omega
        kl = sum(self.k * (self.tau * lam[i] - self.f[i]) for i in n)
        for i in n:
            for j in n:
                both = lam[i] + lam[j]
                kl += weight[i, j] * (self.a[i] + mp.expm1(-self.tau * both) / both) / lam[j]
        return {"parameter_kl_infinite_width": kl}

    def law(self):
        """Mean and covariance at the test points: z_τ = (-P, 1) (z_0 at the training and test points) + P y."""
        e, case = self.case.ensemble, self.case
        cross = numbers(e.kernels.ntk_test_train if e.mode == "ntk" else e.kernels.nngp_test_train)
        p = (cross @ self.v * self.a) @ self.v.T
        own = numbers(np.eye(len(p)))
        left = np.concatenate([-p, own], axis=1)
        for x in np.flatnonzero(e.twins >= 0):
            left[x] = np.concatenate([(self.v[e.twins[x]] * self.r) @ self.v.T, 0 * own[x]])
        prior = [numbers(getattr(e.kernels, "nngp" + end)) for end in ("", "_test_train", "_test")]
        joint = np.block([[prior[0], prior[1].T], [prior[1], prior[2]]])
        random, noise = int(not e.centred), mp.mpf(case.noises["output_noise"]) * own
        return p @ self.y, random * (left @ joint @ left.T) + noise, random * prior[2] + noise

    def training_law(self):
        """Mean, covariance and y - mean at the training points, from what is left of each mode."""
        left, own = self.v * self.r, numbers(np.eye(len(self.lam)))
        random, noise = int(not self.case.ensemble.centred), mp.mpf(self.case.noises["output_noise"]) * own
        shortfall = left @ self.y_modes
        return (
            self.y - shortfall,
            random * (left @ self.modes @ left.T) + noise,
            random * self.kernel + noise,
            shortfall,
        )

    def points(self):
        """The outputs at the test points."""
        (mean, covariance, prior), e = self.law(), self.case.ensemble
        residual = numbers(self.case.y_test) - mean
        for x in np.flatnonzero(e.twins >= 0):
            i = e.twins[x]
            residual[x] = numbers(self.case.y_test[x]) - self.y[i] + (self.v[i] * self.r) @ self.y_modes
        return OfPoints(self.case, self.case.y_test, mean, covariance, prior, residual)

    def of_points(self, on="test"):
        """The columns of the outputs at the test or the training points."""
        if on == "train":
            mean, covariance, prior, residual = self.training_law()
            return OfPoints(self.case, self.case.y, mean, covariance, prior, residual).columns()
        points, e = self.points(), self.case.ensemble
        covariance, prior = points.covariance, points.prior
        found = points.columns() | {"fisher_trace_test": self.k * np.trace(numbers(e.theta_test))}
        found["bayes_nll_joint"] = points.joint_nll()
        if positive_definite(prior) and positive_definite(covariance):  # as rounded entries may not be
            found["data_information_joint"] = points.joint_information()
        s2, variance = mp.mpf(self.case.noises["label_noise"]), np.diagonal(covariance)
        if min(variance) > 0 and not self.case.noises["output_noise"]:
            cross = numbers(e.kernels.ntk_test_train if e.mode == "ntk" else e.kernels.nngp_test_train)
            signal = s2 * ((cross @ self.v * self.a) ** 2).sum(axis=1)
            gains = [mp.log(1 + x) for x in signal / variance]
            found["gaussian_label_information"] = self.k * sum(gains) / (2 * len(gains))
        return found
