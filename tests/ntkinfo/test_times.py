"""Default times: from the eigenvalues, dense where something moves."""

import numpy as np
import pytest

import ntkinfo
from ntkinfo.times import default_times


def test_default_times_cover_what_moves_and_nothing_else(gaussian_timeline):
    """Before and after them nothing is left to see; between two of them no quantity leaps."""
    _, ensemble, data = gaussian_timeline
    times = default_times(ensemble, 25)
    values = ensemble.eigenvalues
    assert times.size == 25
    assert (np.diff(times) > 0).all()
    assert times[0] == pytest.approx(0.1 / values[-1])
    assert times[-1] <= 10 / values[0] * (1 + 1e-12)
    found = ntkinfo.timeline(ensemble, y_test=data.y_test, entropy_y=data.entropy_y)
    np.testing.assert_array_equal(found.tau, times)
    long = ntkinfo.timeline(ensemble, [0.0, 100 * times[-1]], y_test=data.y_test, entropy_y=data.entropy_y)
    for name in (
        "train_square_error",
        "expected_square_error",
        "input_information",
        "label_information_affine",
        "data_information",
    ):
        span = np.ptp(np.append(found[name], long[name]))
        assert abs(found[name][-1] - long[name][1]) < 0.01 * span, name
        assert np.abs(np.diff(found[name])).max() < 0.3 * span, name
        assert abs(found[name][-1] - found[name][-4]) > 1e-5 * span, name


@pytest.mark.parametrize(
    "values",
    [np.geomspace(1e-14, 1, 30), np.geomspace(1, 1e6, 5), np.array([1e-200, 2e-200]), np.ones(1), np.zeros(3)],
    ids=["condition 1e14", "1e6", "tiny", "one mode", "zero"],
)
def test_default_times_of_any_spectrum(values):
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((values.size, values.size)))
    kernel = (basis * values) @ basis.T
    kernel = 0.5 * (kernel + kernel.T)
    ensemble = ntkinfo.Ensemble(ntkinfo.Kernels(kernel, kernel), rng.standard_normal(values.size))
    if not values.any():
        with pytest.raises(ValueError, match="Θ is zero"):
            default_times(ensemble)
        return
    times = default_times(ensemble)
    assert times.size == 25
    assert (np.diff(times) > 0).all()
    slowest = ensemble.eigenvalues[-ensemble.rank]
    assert 0.09 / ensemble.eigenvalues[-1] < times[0] < times[-1] <= 10 / slowest * (1 + 1e-9)
    left = 1 - ensemble.mode_power @ (1 - ensemble.spectrum(times[-1]).decay[0]) / ensemble.mode_power.sum()
    assert left < 2e-4 + ensemble.mode_power[: values.size - ensemble.rank].sum() / ensemble.mode_power.sum()


def test_default_times_scale_with_the_kernels(linear_model):
    """Kernels times c train c times as fast; the labels times √c, so that nothing else changes: also where c² underflows."""
    kernels, y = linear_model().kernels, linear_model().y
    expected = default_times(ntkinfo.Ensemble(kernels, y))
    blocks = ("ntk", "nngp", "ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
    for c in (1e-200, 1e99):
        scaled = ntkinfo.Kernels(**{name: getattr(kernels, name) * c for name in blocks})
        times = default_times(ntkinfo.Ensemble(scaled, y * np.sqrt(c)))
        np.testing.assert_allclose(times * c, expected, rtol=1e-9)


def test_default_times_of_descent_are_whole_steps(linear_model):
    rule = ntkinfo.GradientDescent(0.2)
    ensemble = linear_model().ensemble(learning_rule=rule)
    times = default_times(ensemble, 9)
    np.testing.assert_array_equal(times, rule.round(times))
    assert (np.diff(times) > 0).all()
    with pytest.raises(ValueError, match="count"):
        default_times(ensemble, 1)
