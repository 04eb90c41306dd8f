"""Memory and time: what is said before the work, what is refused, and how many n × n matrices there are at once."""

import re
import tracemalloc

import numpy as np
import pytest
import scipy.linalg

import ntkinfo
from dualib.core.arrays import symmetric
from ntkinfo import eigenmodes, resources
from ntkinfo.__main__ import main
from ntkinfo.quantities import data_information_train, parameter_kl_infinite_width, parameter_kl_infinite_width_rate
from ntkinfo.quantities.third_kernel import infinite_width_terms
from ntkinfo.setting import Setting

N = 1100  # more than two blocks of rows


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((N, 12)), rng.standard_normal((N, 2))
    return ntkinfo.Ensemble(ntkinfo.kernels.dense(x, rng.standard_normal((3, 12)), hidden_layers=1), y)


def peak(function):
    """The most memory that numpy's arrays take beyond those that are there, in units of n² doubles."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / (8 * N**2)
    finally:
        tracemalloc.stop()


def test_eigenmodes_and_informations_make_no_more_matrices_than_is_said(large):
    """Beside Θ, K and Ω: three for the eigenvectors with their workspace; then they, K, Ω among them, and one more."""
    block = 512 / N
    assert peak(large.prepare) < resources.EIGENVECTORS + 0.3
    assert peak(lambda: data_information_train(large, [0.1, 1.0])) < 1.3
    assert peak(lambda: large.omega_modes) < 1 + block + 0.1
    assert peak(lambda: parameter_kl_infinite_width(large, [0.1, 1.0])) < 10 * resources.PAIR_ROWS / N + 0.1
    small = ntkinfo.kernels.dense(np.random.default_rng(1).standard_normal((N, 3)), third_kernel=False, batch_size=100)
    assert peak(lambda: ntkinfo.Kernels(small.ntk, small.nngp)) < 1 + block + 0.1


def test_kernels_among_the_eigenvectors_are_the_products(large):
    v = large.eigenvectors
    np.testing.assert_allclose(v.T @ v, np.eye(N), atol=1e-12)
    np.testing.assert_allclose((v * large.eigenvalues) @ v.T, large.kernels.ntk, atol=1e-12)
    for found, kernel in ((large.nngp_modes, large.kernels.nngp), (large.omega_modes, large.kernels.omega)):
        np.testing.assert_allclose(found, v.T @ kernel @ v, atol=1e-12)
        np.testing.assert_array_equal(found, found.T)


def test_the_third_kernel_s_information_is_the_sum_over_all_pairs(large):
    integrals, gap = infinite_width_terms(large.eigenvalues, 0.3)
    power = 2 * large.nngp_modes + large.y_modes @ large.y_modes.T
    whole = 2 * gap.sum() + (power * large.omega_modes * integrals).sum()
    assert whole <= parameter_kl_infinite_width(large, 0.3) < whole * (1 + 1e-9)  # an upper bound with its rounding
    step = 1e-4
    by_difference = np.diff(parameter_kl_infinite_width(large, [0.3 - step, 0.3 + step]))[0] / (2 * step)
    np.testing.assert_allclose(parameter_kl_infinite_width_rate(large, 0.3), by_difference, rtol=1e-6)


def test_both_drivers_give_the_same_eigenvalues(large, monkeypatch):
    monkeypatch.setattr(eigenmodes, "LARGEST_EVD", 0)
    other = ntkinfo.Ensemble(large.kernels, large.y_train)
    np.testing.assert_allclose(other.eigenvalues, large.eigenvalues, atol=1e-12 * large.eigenvalues[-1])


def test_a_table_takes_one_decomposition_and_no_other(monkeypatch):
    calls = []

    def counting(function):
        def counted(matrix, *more, **options):
            if len(matrix) == 30:
                calls.append(function.__name__)
            return function(matrix, *more, **options)

        return counted

    monkeypatch.setattr(eigenmodes, "eigh", counting(scipy.linalg.eigh))
    for module, names in (
        (np.linalg, ("eigh", "eigvalsh", "svd", "eigvals")),
        (scipy.linalg, ("eigh", "eigvalsh", "svd")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, counting(getattr(module, name)))
    data = ntkinfo.gaussian_task(30, 20, x_dim=5)
    kernels = ntkinfo.kernels.dense(data.x_train, data.x_test)
    ntkinfo.timeline(ntkinfo.Ensemble(kernels, data.y_train), y_test=data.y_test)
    assert calls == ["eigh"]


def test_twenty_thousand_points_fit_into_24_gib():
    said = resources.needs(20_000, 1000)
    assert said.matrices == 5
    assert said.memory < 6 * 8 * 20_000**2
    assert re.search(r"n = 20000: 1[56]\.\d GiB", said.describe())
    with_omega = resources.needs(20_000, 1000, third_kernel=True)
    assert with_omega.matrices == 6
    assert with_omega.memory < 20 * resources.GIB


@pytest.mark.parametrize(
    ("n", "m", "options"),
    [
        (800, 150, {}),
        (800, 150, {"third_kernel": True}),
        pytest.param(800, 150, {"third_kernel": True, "digits": True}, marks=pytest.mark.slow),
        (600, 100, {"digits": True}),
        pytest.param(300, 1000, {"third_kernel": True}, marks=pytest.mark.slow),
        pytest.param(300, 1500, {"test_variances": True}, marks=pytest.mark.slow),
    ],
)
def test_a_table_takes_what_is_said_and_little_less(n, m, options):
    """From the kernels to the last column, in numpy's arrays."""
    rng, digits = np.random.default_rng(0), "digits" in options
    third_kernel, test_variances = (name in options for name in ("third_kernel", "test_variances"))
    x, x_test = rng.standard_normal((n, 12)), rng.standard_normal((m, 12))
    y, y_test = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))

    def whole():
        more = {"third_kernel": third_kernel, "test_variances": test_variances, "batch_size": 64}
        kernels = ntkinfo.kernels.dense(x, x_test, hidden_layers=1, **more)
        ntkinfo.timeline(ntkinfo.Ensemble(kernels, y), np.geomspace(1e-3, 10, 25), y_test=y_test, digits=digits)

    said = [resources.needs(*sizes, **options).memory for sizes in ((n, m), (0, 0))]
    expected = (said[0] - said[1]) / (8 * N**2)
    assert 0.8 * expected < peak(whole) < expected


def test_no_law_keeps_the_covariances_of_all_times(large):
    law = large.law(1.0)
    assert law.marginals().variance.base is None
    noisy = law.with_output_noise(0.5)
    np.testing.assert_array_equal(noisy.covariance, law.covariance + 0.5 * np.eye(3))


def test_training_points_make_no_further_matrix(large):
    setting = Setting(large, [0.1, 1.0], "train")
    assert peak(lambda: list(setting.parts())) < 2 * 512 / N + 0.2  # blocks of rows


def test_the_inverse_of_a_singular_kernel_takes_one_matrix_of_its_rank():
    rng = np.random.default_rng(2)
    x = np.repeat(rng.standard_normal((N // 2, 12)), 2, axis=0)  # every point twice
    kernels = ntkinfo.kernels.dense(x, hidden_layers=1, third_kernel=False, batch_size=100)
    ensemble = ntkinfo.Ensemble(kernels, rng.standard_normal(N))
    ensemble.prepare()
    assert ensemble.moving.sum() == N // 2
    assert ensemble.moving[ensemble.n_still :].all()
    assert peak(ensemble.inverse_nngp_triangle) < 0.25 + 0.2
    triangle, modes = ensemble.inverse_nngp_triangle(), ensemble.nngp_modes[N // 2 :, N // 2 :]
    np.testing.assert_allclose((triangle + triangle.T) @ modes, np.eye(N // 2), atol=1e-8)


def test_what_does_not_fit_is_refused_with_the_number_of_points_that_does(monkeypatch, capsys):
    free = 2.0 * resources.GIB
    monkeypatch.setattr(resources, "available_memory", lambda: free)
    with pytest.raises(
        MemoryError, match=r"n = 20000 training points need 1[56]\.\d GiB .* 2\.0 GiB are free"
    ) as refused:
        resources.needs(20_000, 1000).check()
    assert "memory maps" in str(refused.value)
    with pytest.raises(MemoryError, match="enough for n = 9459") as refused:
        resources.need(10_000, 3, "the kernels")
    resources.need(9459, 3, "the kernels")
    with pytest.raises(MemoryError):
        resources.need(9460, 3, "the kernels")
    assert main(["curve", "--n-train", "30000", "--n-test", "2"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ntkinfo: error: n = 30000 training points need")
    monkeypatch.setattr(resources, "available_memory", lambda: None)  # a system that does not tell
    resources.need(10**6, 3, "the kernels")


def test_the_memory_of_this_machine_is_known_and_smaller_in_a_control_group(monkeypatch):
    there = resources.available_memory()
    assert there is None or 0 < there < 2**50
    texts = {
        "meminfo": "MemAvailable: 100 kB\n",
        "memory.max": "50000",
        "memory.stat": "inactive_file 10000\n",
        "memory.current": "30000",
    }
    monkeypatch.setattr(resources.Path, "read_text", lambda self: texts[self.name])
    assert resources.available_memory() == 30_000
    texts["memory.max"] = "max"
    assert resources.available_memory() == 102_400


def test_asymmetry_of_a_large_matrix_is_found_and_small_asymmetry_averaged():
    matrix = np.ones((N, N))
    matrix[1050, 7] = 2.0
    with pytest.raises(
        ValueError, match=r"k\[7, 1050\] = 1 but k\[1050, 7\] = 2|k\[1050, 7\] = 2 but k\[7, 1050\] = 1"
    ):
        symmetric(matrix, "k")
    matrix[1050, 7] = 1 + 1e-12
    found = symmetric(matrix, "k")
    np.testing.assert_array_equal(found, found.T)
    assert found[7, 1050] == 0.5 * (matrix[7, 1050] + matrix[1050, 7])
