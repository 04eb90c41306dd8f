"""Corrections of order 1/width of trained networks: known numbers, a second algorithm, trained networks, limits in time."""

import mpmath
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import erf

import ntkinfo
from ntkinfo.finite_width import Trained, corrections, log_evidence_coefficient, trained, width_coefficient
from ntkinfo.finite_width.exponentials import ordered_integral
from ntkinfo.finite_width.training import Flow
from ntkinfo.quantities import REGISTRY

X = np.array([[1.0, 0.5, -0.3], [-0.2, 0.8, 1.1], [0.6, 0.2, 0.5]])
Y = np.array([1.0, -0.7])


@pytest.fixture(scope="module")
def starts():
    found = {}

    def start(name, w_std, b_std, depth):
        key = name, w_std, b_std, depth
        if key not in found:
            settings = {"hidden_layers": depth, "activation": name, "w_std": w_std, "b_std": b_std}
            found[key] = corrections(X[:2], X[2:], **settings)
        return found[key]

    return start


@pytest.fixture
def erf_one(starts):
    return starts("erf", 1.5, 0.3, 1)


@pytest.mark.parametrize(
    ("case", "mean", "covariance", "drift"),
    [
        (("erf", 1.5, 0.3, 1), (-0.37397, 0.28844), (0.14328, -0.02663, 0.10672), -1.449),
        (("erf", 1.5, 0.3, 2), (-0.52064, 0.36078), (0.03934, -0.01003, 0.02321), -10.11),
        (("tanh", 1.2, 0.5, 2), (-0.63732, 0.52704), (0.37518, -0.21079, 0.33302), -0.937),
    ],
)
def test_known_numbers(starts, case, mean, covariance, drift):
    """Of an independent program by quadrature in time, compared with up to 8000 pairs of trained networks a width."""
    after = trained(starts(*case), Y, 1.0)
    np.testing.assert_allclose(after.mean[:2], mean, atol=2e-5)
    np.testing.assert_allclose(after.covariance[(0, 0, 1), (0, 1, 1)], covariance, atol=2e-5)
    assert np.trace(after.ntk[:2, :2]) == pytest.approx(drift, rel=1e-3)
    if case == ("erf", 1.5, 0.3, 1):
        parts = [(-0.32153, 0.25590), (0.04162, -0.05762), (-0.09405, 0.09016)]
        np.testing.assert_allclose([p[:2] for p in (after.fluctuation, after.third, after.fourth)], parts, atol=2e-5)
        assert not after.bias.any()
    assert max(after.errors.values()) < 1e-3


def test_a_second_algorithm_agrees(starts):
    """Integrals over time by Gauss and Legendre's rule, flows as matrix exponentials, no eigenvectors: formulas as they are derived."""
    start, tau, n = starts("tanh", 1.2, 0.5, 2), 0.7, 2
    theta, k = start.full("ntk"), start.full("nngp")
    nodes, of_nodes = np.polynomial.legendre.leggauss(16)

    def integral(f, end):
        return sum(w * end / 2 * f((x + 1) * end / 2) for x, w in zip(nodes, of_nodes, strict=True))

    down = np.diag([1.0] * n + [0.0] * (len(theta) - n))  # P
    flows = {}

    def flow(s):
        return flows.setdefault(s, expm(-s * theta @ down))

    def seen(s):
        return down @ integral(flow, s)

    y = np.concatenate([Y, np.zeros(len(theta) - n)])
    m, ct, tz, o3, o4 = (getattr(start, a) for a in ("ntk_bias", "ntk_covariance", "ntk_output", "third", "fourth"))

    def first(s):
        return np.einsum("ab,ce->abce", flow(tau - s) @ np.eye(3), down @ flow(s))

    l1 = -integral(first, tau)  # r¹_a = L1_{a,bc,e} δΘ_bc r_e

    def second(t):
        inner = integral(lambda s: np.einsum("bcde,cd,ef->bf", ct, down @ flow(t - s), down @ flow(s)), t)
        return flow(tau - t) @ inner

    r2 = integral(second, tau)  # of r_0
    x3 = integral(lambda s: np.einsum("ai,ibcg,ce,bf->aefg", flow(tau - s), o3, seen(s), down @ flow(s)), tau)

    def squares(s):
        return integral(lambda v: np.einsum("ce,df->cedf", down @ flow(v), seen(v)), s)

    x4 = -integral(lambda s: np.einsum("ai,ibcd,cedf,bg->aefg", flow(tau - s), o4, squares(s), down @ flow(s)), tau)
    yy = np.outer(y, y) + k

    def three(pair, one):
        return sum(np.einsum(f"{p},{q}...->efg...", pair, one) for p, q in (("ef", "g"), ("eg", "f"), ("fg", "e")))

    after = trained(start, Y, tau)
    cubes = np.einsum("e,f,g->efg", y, y, y) + three(k, y)
    third = -np.einsum("aefe,f->a", x3, y) - np.einsum("aeff,e->a", x3, y)
    fourth = -np.einsum("aefg,efg->a", x4, cubes)
    for found, expected in (
        (after.bias, -np.einsum("abce,bc,e->a", l1, m, y)),
        (after.fluctuation, -r2 @ y),
        (after.third, third),
        (after.fourth, fourth),
        (after.mirrored_covariance, np.einsum("abce,fghi,bcgh,e,i->af", l1, l1, ct, y, y)),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-7)
    with_start = np.einsum("abce,bc,ek->ak", l1, m, k) + np.einsum("abce,bcek->ak", l1, tz) + r2 @ k
    with_start += np.einsum("aefk,ef->ak", x3, yy) + np.einsum("aefe,fk->ak", x3, k) + np.einsum("aeff,ek->ak", x3, k)
    with_start += np.einsum("aefg,efgk->ak", x4, three(yy, k))
    e = flow(tau)
    covariance = e @ start.nngp_bias @ e.T + np.einsum("abce,fghi,bcgh,ei->af", l1, l1, ct, yy)
    covariance += with_start @ e.T + (with_start @ e.T).T
    np.testing.assert_allclose(after.covariance, covariance, atol=1e-7)
    np.testing.assert_allclose(after.start_covariance, e @ start.nngp_bias + with_start, atol=1e-7)
    drift = m - np.einsum("abcf,cf->ab", o3, seen(tau)) + np.einsum("abcd,cedf,ef->ab", o4, squares(tau), yy)
    np.testing.assert_allclose(after.ntk, drift, atol=1e-7)


def trained_networks(rng, width, count, tau, w_std, b_std):
    """Outputs at τ of networks of one hidden layer of erf units and of their mirror images, and their Θ̂ at the start."""
    s0, s, slope = w_std / np.sqrt(3), w_std / np.sqrt(width), 2 / np.sqrt(np.pi)
    inputs = np.concatenate([s0 * X, np.full((3, 1), b_std)], axis=1)  # with the bias as a fourth input
    w, b = rng.standard_normal((count, width, 4)), rng.standard_normal((count, 1))
    a = rng.standard_normal((count, width))

    def passes(w, a, b):
        h = w @ inputs.T
        phi = erf(h)
        return phi, s * slope * a[..., None] * np.exp(-h * h), s * np.einsum("rnp,rn->rp", phi, a) + b_std * b

    def rates(w, a, b):
        phi, back, z = passes(w, a, b)
        r = z[:, :2] - Y
        return (
            -(back[:, :, :2] * r[:, None]) @ inputs[:2],
            -s * np.einsum("rnp,rp->rn", phi[:, :, :2], r),
            -b_std * r.sum(axis=1, keepdims=True),
        )

    phi, back, z = passes(w, a, b)
    ntk = s**2 * np.swapaxes(phi, 1, 2) @ phi + b_std**2 + np.swapaxes(back, 1, 2) @ back * (inputs @ inputs.T)
    ends, steps = [], 24
    for sign in (1, -1):
        state = [w, sign * a, sign * b]
        for _ in range(steps):  # Runge and Kutta's rule
            slopes = [rates(*state)]
            for part in (0.5, 0.5, 1.0):
                slopes.append(rates(*(v + part * tau / steps * d for v, d in zip(state, slopes[-1], strict=True))))
            state = [
                v + tau / steps / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                for v, k1, k2, k3, k4 in zip(state, *slopes, strict=True)
            ]
        ends.append(passes(*state)[2])
    return z, np.stack(ends), ntk


def test_trained_networks_have_these_coefficients(erf_one):
    """Means over a network and its mirror image, less the first-order response to its kernel, of mean zero: lines in 1/n through two
    widths. Ten values, none beyond 4 standard errors."""
    tau, widths, rng = 0.5, (24, 72), np.random.default_rng(5)
    after, flow = trained(erf_one, Y, tau), Flow(erf_one.full("ntk"), 2, 0.5)
    limit = np.concatenate([after.limit(on).mean[:, 0] for on in ("train", "test")])
    values, errors = [], []
    for width in widths:
        _, ends, ntk = trained_networks(rng, width, 1200, tau, 1.5, 0.3)
        moves = np.moveaxis(ntk - erf_one.full("ntk"), 0, -1)
        source = flow.rotated(moves, 1) * (flow.modes.T @ Y)[:, None]
        response = flow.carried(source, flow.rates).T
        pair = ends.mean(axis=0) - limit
        left, second = pair - response, np.einsum("ra,rb->rab", pair, pair)[:, (0, 0, 1, 2), (0, 1, 1, 2)]
        own = ends[0, :, :2] - ends[0, :, :2].mean(axis=0)
        spread = np.einsum("ra,rb->rab", own, own) - after.limit("train").covariance
        each = width * np.concatenate([left, second, spread[:, (0, 0, 1), (0, 1, 1)]], axis=1)
        values.append(each.mean(axis=0))
        errors.append(each.std(axis=0) / np.sqrt(len(each)))
    far, near = 1 / widths[0], 1 / widths[1]
    value = (far * values[1] - near * values[0]) / (far - near)
    error = np.hypot(far * errors[1], near * errors[0]) / (far - near)
    predicted = np.concatenate(
        [after.mean, after.mirrored_covariance[(0, 0, 1, 2), (0, 1, 1, 2)], after.covariance[(0, 0, 1), (0, 1, 1)]]
    )
    z = (value - predicted) / error
    assert np.abs(z).max() < 4, z
    assert (error[:2] < 0.15 * np.abs(predicted[:2])).all()  # it says something


def test_at_time_zero_nothing_has_happened(starts):
    start = starts("tanh", 1.2, 0.5, 2)
    after = trained(start, Y, 0.0)
    np.testing.assert_array_equal(after.mean, 0)
    np.testing.assert_allclose(after.covariance, start.nngp_bias, atol=1e-12)
    np.testing.assert_allclose(after.start_covariance, start.nngp_bias, atol=1e-12)
    np.testing.assert_allclose(after.ntk, start.ntk_bias, atol=1e-12)
    np.testing.assert_array_equal(after.mirrored_covariance, 0)


def test_training_without_end_is_the_limit_of_long_training(starts):
    """Training points are learned; at test points and in the kernel corrections remain."""
    start = starts("tanh", 1.2, 0.5, 2)
    long, end = trained(start, Y, 400.0), trained(start, Y, np.inf)
    for name in ("mean", "covariance", "start_covariance", "mirrored_covariance", "ntk"):
        np.testing.assert_allclose(getattr(long, name), getattr(end, name), atol=1e-9, err_msg=name)
    assert np.abs(end.mean[:2]).max() == 0
    assert np.abs(end.mean[2]) > 0.01
    twice = corrections(X[[0, 0]], X[2:], hidden_layers=1)
    trained(twice, Y, 10.0)
    with pytest.raises(ValueError, match=r"null space, .* take a finite τ"):
        trained(twice, Y, np.inf)


def test_labels_that_change_sign_or_scale(erf_one):
    """The mean is odd in the labels and a polynomial of third degree, the covariance even and of second."""
    one, other, twice, none = (trained(erf_one, c * Y, 0.8) for c in (1, -1, 2, 0))
    np.testing.assert_allclose(one.mean, -other.mean, atol=1e-14)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-14)
    np.testing.assert_allclose(none.mean, 0, atol=1e-14)
    thrice = trained(erf_one, 3 * Y, 0.8)
    np.testing.assert_allclose(
        (thrice.covariance - none.covariance) / 9, (twice.covariance - none.covariance) / 4, atol=1e-12
    )
    np.testing.assert_allclose(thrice.mean - 3 * one.mean, 4 * (twice.mean - 2 * one.mean), atol=1e-12)


def test_predictions_at_a_width(erf_one, tmp_path):
    after = trained(erf_one, Y, 1.0)
    limit, law = after.limit("train"), after.predicted_at(50, "train")
    np.testing.assert_allclose(law.mean[:, 0], limit.mean[:, 0] + after.mean[:2] / 50)
    np.testing.assert_allclose(law.covariance, limit.covariance + after.covariance[:2, :2] / 50)
    width = after.least_width(0.1, "train")
    gap = np.linalg.norm(after.predicted_at(width, "train").covariance - limit.covariance)
    assert gap <= 0.1 * np.linalg.norm(limit.covariance) < gap * width / (width - 1)
    assert after.least_width(0.01) >= 9 * after.least_width(0.1)
    assert trained(erf_one, Y, 0.0).least_width(0.1) == 1  # nothing has moved, and with one hidden layer K has no bias
    after.save(tmp_path / "after.npz")
    again = Trained.load(tmp_path / "after.npz")
    np.testing.assert_array_equal(again.covariance, after.covariance)
    np.testing.assert_array_equal(again.start.fourth, erf_one.fourth)


def test_what_is_out_of_range_is_refused(erf_one):
    with pytest.raises(ValueError, match=r"y_train has 2 columns: .* one output"):
        trained(erf_one, np.stack([Y, Y], axis=1), 1.0)
    with pytest.raises(ValueError, match=r"y_train has shape \(3,\)"):
        trained(erf_one, [1.0, 2.0, 3.0], 1.0)
    with pytest.raises(ValueError, match="tau must be >= 0"):
        trained(erf_one, Y, -1.0)
    with pytest.raises(ValueError, match="takes one time"):
        trained(erf_one, Y, [1.0, 2.0])


# --- coefficients of quantities ---


def test_coefficients_of_quantities_are_derivatives(starts):
    """By the registry's names: of the law at the test points, of the training error, of the evidence and of the response to labels."""
    start = starts("tanh", 1.2, 0.5, 2)
    after, truth = trained(start, Y, 1.0), 0.4
    test, train = after.limit("test"), after.limit("train")
    expected = 2 * (test.mean[0, 0] - truth) * after.mean[2] + after.covariance[2, 2]
    assert width_coefficient(after, "expected_square_error", y_test=[truth]) == pytest.approx(expected, rel=1e-9)
    assert width_coefficient(after, "output_variance") == pytest.approx(after.covariance[2, 2], rel=1e-9)
    errors = 2 * (train.mean[:, 0] - Y) * after.mean[:2] + np.diagonal(after.covariance)[:2]
    assert width_coefficient(after, REGISTRY["train_square_error"]) == pytest.approx(errors.mean(), rel=1e-9)
    ratio, shift = test.covariance[0, 0] / start.full("nngp")[2, 2], after.covariance[2, 2] / start.full("nngp")[2, 2]
    scale = start.nngp_bias[2, 2] / start.full("nngp")[2, 2]
    moved = test.mean[0, 0] ** 2 / start.full("nngp")[2, 2]
    kl = 0.5 * (
        (shift - ratio * scale) - shift / ratio + scale + 2 * moved * after.mean[2] / test.mean[0, 0] - moved * scale
    )
    assert width_coefficient(after, "data_information_joint") == pytest.approx(kl, rel=1e-6)
    step = 1e-4
    response = sum(
        (trained(start, Y + step * e, 1.0).mean[i] - trained(start, Y - step * e, 1.0).mean[i]) / (2 * step)
        for i, e in enumerate(np.eye(2))
    )
    assert width_coefficient(after, "degrees_of_freedom") == pytest.approx(response, rel=1e-6)
    assert width_coefficient(after, "expected_optimism", label_noise=0.3) == pytest.approx(0.3 * response, rel=1e-6)
    assert width_coefficient(after, "fisher_trace") == pytest.approx(np.trace(start.ntk_bias[:2, :2]))
    assert width_coefficient(after, "fisher_trace_test") == pytest.approx(after.ntk[2, 2])


def test_displacement_from_the_start(starts):
    """E‖z_τ - z_0‖² at small times: τ² E‖Θ̂ r‖², whose correction is of M, CT and TZ; here by the coefficients of law and start."""
    start = starts("tanh", 1.2, 0.5, 2)
    tau = 1e-3
    found = width_coefficient(trained(start, Y, tau), "fisher_distance_squared") / tau**2
    t, m = start.full("ntk")[:2, :2], start.ntk_bias[:2, :2]
    yy = np.outer(Y, Y) + start.full("nngp")[:2, :2]
    train = slice(0, 2)
    ct, tz = start.ntk_covariance[train, train, train, train], start.ntk_output[train, train, train, train]
    expected = 2 * np.einsum("ab,ac,bc->", t, m, yy) + np.einsum("abac,bc->", ct, yy)
    expected += 2 * np.einsum("ab,acbc->", t, tz) + np.einsum("ab,ac,bc->", t, t, start.nngp_bias[:2, :2])
    assert found == pytest.approx(expected, rel=0.02)  # τ λ is the error


def test_the_evidence_of_one_point_is_an_average_over_its_variance(starts):
    """With K̂ = K + δ, log E N(y; 0, K̂ + σ²) moves by the mean and the variance of δ alone."""
    start = starts("tanh", 1.2, 0.5, 2)
    alone = corrections(X[:1], hidden_layers=2, activation="tanh", w_std=1.2, b_std=0.5)
    k, y, noise, step = start.full("nngp")[0, 0], 0.8, 0.5, 1e-3

    def density(k):
        return np.exp(-0.5 * y * y / (k + noise)) / np.sqrt(2 * np.pi * (k + noise))

    slope = (density(k + step) - density(k - step)) / (2 * step)
    bend = (density(k + step) - 2 * density(k) + density(k - step)) / step**2
    expected = (slope * start.nngp_bias[0, 0] + bend / 2 * start.nngp_covariance[0, 0, 0, 0]) / density(k)
    assert log_evidence_coefficient(alone, [y], noise) == pytest.approx(expected, rel=1e-5)
    assert width_coefficient(trained(alone, [y], 1.0), "nngp_evidence", noise=noise) == pytest.approx(
        expected, rel=1e-5
    )


def test_quantities_without_prediction_say_why(erf_one):
    after = trained(erf_one, Y, 1.0)
    with pytest.raises(ValueError, match="parameter_kl is no function of the outputs' law"):
        width_coefficient(after, "parameter_kl")
    with pytest.raises(ValueError, match="expected_square_error needs y_test"):
        width_coefficient(after, "expected_square_error")
    with pytest.raises(ValueError, match="unknown quantity 'nonsense'"):
        width_coefficient(after, "nonsense")


# --- integrals over ordered times ---


def test_ordered_integrals_are_divided_differences():
    """To relative precision also where rates coincide, are 0, or span twelve decades."""
    with mpmath.workdps(120):
        for rates in (
            (2.0,),
            (0.0, 3.0),
            (1.0, 1.0, 1.0),
            (0.0, 1e-6, 5.0),
            (0.0, 0.3, 0.3, 700.0, 701.0),
            (1e6, 1e-6, 2.0),
        ):
            for tau in (1e-3, 1.0, 40.0):
                apart = [
                    mpmath.mpf(x) * (1 + mpmath.mpf(10) ** -20 * i) + mpmath.mpf(10) ** -22 * i
                    for i, x in enumerate(rates)
                ]
                terms = [mpmath.exp(-tau * x) / mpmath.fprod(y - x for y in apart if y != x) for x in apart]
                expected = float(mpmath.fsum(terms))
                assert ordered_integral(tau, *rates) == pytest.approx(expected, rel=1e-12), (rates, tau)


def test_ordered_integrals_broadcast_and_have_a_limit():
    rates = np.array([0.5, 2.0])
    table = ordered_integral(3.0, 0.0, rates[:, None], rates[None, :])
    np.testing.assert_allclose(table, table.T)
    assert table[0, 1] == pytest.approx(float(ordered_integral(3.0, 0.0, 0.5, 2.0)))
    np.testing.assert_allclose(
        ordered_integral(np.inf, 0.0, rates[:, None], rates[None, :]), 1 / np.outer(rates, rates)
    )
    np.testing.assert_array_equal(ordered_integral(np.inf, rates), [0, 0])
    np.testing.assert_array_equal(ordered_integral(0.0, rates), [1, 1])
    np.testing.assert_array_equal(ordered_integral(0.0, rates, 1.0), [0, 0])


def test_the_flow_is_that_of_the_ensemble(erf_one):
    flow, ensemble = Flow(erf_one.full("ntk"), 2, 0.9), ntkinfo.Ensemble(erf_one.kernels, Y)
    e = flow.decay
    law = ensemble.law(0.9)
    np.testing.assert_allclose((e @ erf_one.full("nngp") @ e.T)[2:, 2:], law.covariance, atol=1e-13)
    np.testing.assert_allclose(-(e @ np.append(Y, 0.0))[2:], law.mean[:, 0], atol=1e-13)
    np.testing.assert_allclose(e, expm(-0.9 * erf_one.full("ntk") @ np.diag([1.0, 1.0, 0.0])), atol=1e-13)
