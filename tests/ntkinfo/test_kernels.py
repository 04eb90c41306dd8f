"""Kernels: neural-tangents on this JAX, blocks against the whole, Monte Carlo, and refusals."""

import os
import subprocess
import sys
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntkinfo
from ntkinfo.kernels import neural_tangents


def erf_kernel(x):
    """NNGP and NTK of one hidden erf layer in closed form (W_std, b_std = 1.5, 0.1), from the arcsine formula."""
    w2, b2 = 1.5**2, 0.1**2
    q = w2 * x @ x.T / x.shape[1] + b2
    d = 1 + 2 * np.diag(q)
    nngp = w2 * 2 / np.pi * np.arcsin(2 * q / np.sqrt(np.outer(d, d))) + b2
    slope = w2 * 4 / np.pi / np.sqrt(np.outer(d, d) - 4 * q**2)
    return nngp, nngp + slope * q


def test_kernels_agree_with_the_arcsine_formula():
    x = np.random.default_rng(0).standard_normal((7, 3))
    kernels = ntkinfo.Kernels.compute(ntkinfo.mlp(hidden_layers=1).kernel_fn, x)
    nngp, ntk = erf_kernel(x)
    np.testing.assert_allclose(kernels.nngp, nngp, atol=1e-12)
    np.testing.assert_allclose(kernels.ntk, ntk, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_blocks_are_the_whole(activation):
    rng = np.random.default_rng(1)
    train, test = rng.standard_normal((23, 5)), rng.standard_normal((9, 5))
    kernel_fn = ntkinfo.mlp(hidden_layers=3, activation=activation).kernel_fn
    blocks = ntkinfo.Kernels.compute(kernel_fn, train, test, batch_size=7)
    whole = ntkinfo.Kernels.compute(kernel_fn, train, test)
    direct = kernel_fn(np.concatenate([train, test]), None, ("nngp", "ntk"))
    for name in ("ntk", "nngp"):
        full = np.asarray(getattr(direct, name))
        parts = {"": full[:23, :23], "_test_train": full[23:, :23], "_test": full[23:, 23:]}
        for suffix, part in parts.items():
            assert getattr(blocks, name + suffix).dtype == np.float64
            np.testing.assert_allclose(getattr(blocks, name + suffix), getattr(whole, name + suffix), atol=1e-11)
            np.testing.assert_allclose(getattr(blocks, name + suffix), part, atol=1e-11)


@pytest.mark.slow
def test_convolutional_kernels_in_blocks():
    x = np.random.default_rng(2).standard_normal((5, 6, 6, 1))
    kernel_fn = ntkinfo.cnn().kernel_fn
    blocks = ntkinfo.Kernels.compute(kernel_fn, x, batch_size=2)
    np.testing.assert_allclose(blocks.ntk, np.asarray(kernel_fn(x, None, "ntk")), atol=1e-11)
    assert np.linalg.eigvalsh(blocks.ntk)[0] > 0


@pytest.mark.slow
def test_one_definition_gives_the_network_of_the_kernel():
    """The outputs of 400 networks of width 256 have the NNGP as their covariance, within 4 standard errors."""
    import jax

    x = np.random.default_rng(3).standard_normal((3, 4))
    net = ntkinfo.mlp(hidden_layers=1, width=256)
    keys = jax.random.split(jax.random.PRNGKey(0), 400)
    outputs = jax.vmap(lambda key: net.apply_fn(net.init_fn(key, (-1, 4))[1], x)[:, 0])(keys)
    products = np.einsum("si,sj->sij", outputs, outputs)
    error = products.std(axis=0) / np.sqrt(400)
    kernel = np.asarray(net.kernel_fn(x, None, "nngp"))
    assert (np.abs(products.mean(axis=0) - kernel) < 4 * error).all()


def test_save_and_load(tmp_path, linear_model):
    x = np.random.default_rng(0).standard_normal((5, 3))
    for kernels in (linear_model().kernels, ntkinfo.kernels.dense(x[:3], x[3:]), ntkinfo.kernels.dense(x)):
        kernels.save(tmp_path / "k.npz")
        loaded = ntkinfo.Kernels.load(tmp_path / "k.npz")
        for field in fields(ntkinfo.Kernels):
            np.testing.assert_equal(getattr(loaded, field.name), getattr(kernels, field.name))


def test_kernels_are_kept_in_a_file_of_the_same_points_and_network(tmp_path):
    x, path = np.random.default_rng(1).standard_normal((5, 3)), tmp_path / "k.npz"
    calls = []

    def kernel_fn(a, b, get):
        calls.append(len(a))
        ntk, nngp = (scale * a @ (a if b is None else b).T for scale in (2.0, 1.0))
        return SimpleNamespace(ntk=ntk, nngp=nngp)

    first = ntkinfo.Kernels.compute(kernel_fn, x[:4], x[4:], jit=False, cache=path)
    calls.clear()
    again = ntkinfo.Kernels.compute(kernel_fn, x[:4], x[4:], jit=False, cache=path)
    assert calls == [2]  # the first points alone
    np.testing.assert_array_equal(again.ntk_test_train, first.ntk_test_train)
    with pytest.raises(ValueError, match="other points"):
        ntkinfo.Kernels.compute(kernel_fn, x[1:], jit=False, cache=path)

    def other(a, b, get):
        found = kernel_fn(a, b, get)
        return SimpleNamespace(ntk=1.01 * found.ntk, nngp=found.nngp)

    with pytest.raises(ValueError, match="another network, whose ntk differs"):
        ntkinfo.Kernels.compute(other, x[:4], x[4:], jit=False, cache=path)


def test_a_kernel_function_is_traced_once_for_pairs_and_once_for_single_blocks():
    traced = []
    kernel_fn = ntkinfo.mlp(hidden_layers=1).kernel_fn

    def counting(a, b, get):
        traced.append((a.shape, None if b is None else b.shape))
        return kernel_fn(a, b, get)

    x = np.random.default_rng(1).standard_normal((9, 3))
    for _ in range(2):
        ntkinfo.Kernels.compute(counting, x[:7], x[7:])
    assert traced == [((7, 3), None), ((7, 3), (7, 3))]


def test_what_is_compiled_is_kept_unless_switched_off(tmp_path, monkeypatch):
    from ntkinfo.kernels.cache import folder

    monkeypatch.setenv("IB_NTK_CACHE", "0")
    assert folder() is None
    monkeypatch.setenv("IB_NTK_CACHE", str(tmp_path / "kept"))
    assert folder() == tmp_path / "kept"
    code = (
        "import ntkinfo, jax; ntkinfo.Kernels.compute(ntkinfo.mlp(1).kernel_fn, [[1.0]])\n"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == str(tmp_path / "kept"), result.stderr


@pytest.mark.slow
def test_convolutions_in_double_precision_do_not_read_beside_their_input():
    """A padded convolution whose input begins a page: with JAX 0.10.2 on a CPU with AVX-512 it ended the process."""
    code = (
        "import numpy as np, jax, ntkinfo\nfrom neural_tangents import stax\n"
        "conv = lambda: stax.Conv(8, (3, 3), padding='SAME')\n"
        "net = stax.serial(conv(), stax.Relu(), stax.AvgPool((2, 2), (2, 2)), conv(), stax.Relu(), stax.GlobalAvgPool(),"
        " stax.Dense(1))[2]\n"
        "x = np.random.default_rng(0).standard_normal((4, 8, 8, 1))\n"
        "plain = jax.jit(lambda a, b: net(a, b, 'ntk'))(x, x)\n"
        "found = ntkinfo.Kernels.compute(net, x, x[:3])\n"
        "assert abs(found.ntk_test_train - plain[:3]).max() < 1e-7\n"
        "assert abs(found.ntk - np.asarray(net(x, None, 'ntk'))).max() < 1e-7\n"
        "from jax import lax\n"
        "f = jax.jit(lambda a: lax.conv_general_dilated(a, np.ones((1, 1, 3)), (2,), [(2, -1)], (3,)))\n"
        "text = f.lower(np.ones((1, 1, 5))).compile().as_text()\n"
        "ones = lax.conv_general_dilated(np.ones((1, 1, 5), np.float32), np.ones((1, 1, 3), np.float32), (2,), [(2, -1)], (3,))\n"
        "assert (f(np.ones((1, 1, 5))) == ones).all()\n"
        "line = next(line for line in text.splitlines() if ' convolution(' in line or 'window=' in line)\n"
        "assert 'pad=' not in line and 'lhs_dilate' not in line, line\nprint('done')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "done", (result.returncode, result.stderr)


def test_blocks_on_several_devices_are_those_of_one():
    """Four virtual devices, of which the last group of blocks is too small to fill; dense, and with pooling."""
    code = (
        "import numpy as np, jax, ntkinfo\nfrom neural_tangents import stax\n"
        "conv = stax.serial(stax.Conv(8, (3, 3), padding='SAME'), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1))[2]\n"
        "assert jax.local_device_count() == 4\nrng = np.random.default_rng(0)\n"
        "for fn, x in ((ntkinfo.mlp(1).kernel_fn, rng.standard_normal((17, 3))), (conv, rng.standard_normal((9, 4, 4, 1)))):\n"
        "    one, four = (ntkinfo.Kernels.compute(fn, x[:-4], x[-4:], batch_size=2, devices=d) for d in (1, None))\n"
        "    for name in ('ntk', 'nngp', 'ntk_test_train', 'nngp_test_train', 'ntk_test', 'nngp_test'):\n"
        "        np.testing.assert_allclose(getattr(four, name), getattr(one, name), rtol=1e-14, err_msg=name)\n"
        "try:\n    ntkinfo.Kernels.compute(fn, x, devices=5)\nexcept ValueError as error:\n    print(error)"
    )
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | devices
    )
    assert result.stdout.strip() == "devices = 5, but JAX has 4 on this machine", result.stderr


def test_kernels_in_memory_maps_are_not_copied(tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 3))
    whole = ntkinfo.kernels.dense(x)
    maps = {}
    for name in ("ntk", "nngp", "omega"):
        np.save(tmp_path / f"{name}.npy", getattr(whole, name))
        maps[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    kernels = ntkinfo.Kernels(**maps)
    assert all(np.shares_memory(getattr(kernels, name), array) for name, array in maps.items())


def test_arrays_are_frozen():
    with pytest.raises(ValueError, match="read-only"):
        ntkinfo.Kernels(np.eye(2), np.eye(2)).ntk[0, 0] = 2.0


def test_import_is_light_and_loading_leaves_tensorflow_out():
    code = (
        "import sys, ntkinfo; heavy = ('jax', 'neural_tangents', 'tensorflow', 'matplotlib', 'pandas', 'sklearn');"
        "assert not [m for m in heavy if m in sys.modules];"
        "ntkinfo.mlp(); assert 'tensorflow' not in sys.modules; import jax; print(jax.config.jax_enable_x64)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "True", result.stderr


@pytest.mark.parametrize("first", ["import ntkinfo", "import ntkinfo_startup, neural_tangents"])
def test_neural_tangents_can_be_imported_by_others_in_any_order(first):
    """TensorFlow is asked for by its users only; whoever is not after neural-tangents is left alone."""
    code = (
        "import sys, ntkinfo_startup\nassert not {'ntkinfo', 'jax', 'importlib.metadata'} & set(sys.modules)\n"
        f"{first}\nfrom ntkinfo import stax as ours\nimport ntkinfo\nfrom neural_tangents import stax\n"
        "import neural_tangents, inspect, jax\ninspect.stack()\n"
        "assert ours.serial is stax.serial and 'Dense' in dir(ours)\n"
        "assert ntkinfo.Kernels.compute(stax.serial(stax.Dense(1))[2], [[1.0, 2.0]]).ntk.dtype == 'float64'\n"
        "try:\n    neural_tangents.experimental.empirical_ntk_fn_tf\n"
        "except ImportError as error:\n    assert 'tensorflow' in str(error)\nprint('done')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "done", result.stderr


def test_a_name_that_jax_moved_is_named():
    with pytest.raises(ImportError, match=r"jax\.core\.NoSuchName.*not in jax\.core, jax\.extend\.core"):
        neural_tangents.restore_moved_names((("jax.core", "NoSuchName", ("jax.extend.core",)),))


def test_single_precision_is_refused_with_the_reason():
    with pytest.raises(TypeError, match=r"ntk is float32.*64-bit"):
        ntkinfo.Kernels(np.eye(2, dtype=np.float32), np.eye(2))


def test_asymmetry_is_refused_with_its_place():
    wrong = np.array([[1.0, 0.2], [0.3, 1.0]])
    with pytest.raises(ValueError, match=r"ntk is not symmetric: ntk\[0, 1\] = 0\.2 but ntk\[1, 0\] = 0\.3"):
        ntkinfo.Kernels(wrong, np.eye(2))
    rounding = np.eye(2) + np.array([[0, 1e-14], [0, 0]])
    np.testing.assert_array_equal(ntkinfo.Kernels(rounding, np.eye(2)).ntk, ntkinfo.Kernels(rounding, np.eye(2)).ntk.T)


def test_indefinite_kernels_are_refused_with_the_smallest_eigenvalue_and_a_remedy():
    with pytest.raises(
        ValueError, match=r"nngp is not positive semi-definite: its smallest eigenvalue is -1\.000e\+00.*add"
    ):
        ntkinfo.Kernels(np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
    singular = np.ones((3, 3))
    assert ntkinfo.Ensemble(ntkinfo.Kernels(singular, singular), np.zeros(3)).rank == 1


@given(n=st.integers(1, 4), other=st.integers(1, 4))
def test_mismatched_shapes_are_both_printed(n, other):
    if n == other:
        other += 1
    with pytest.raises(ValueError, match=rf"nngp has shape \({other}, {other}\).*\({n}, {n}\)"):
        ntkinfo.Kernels(np.eye(n), np.eye(other))
    with pytest.raises(ValueError, match=rf"ntk_test_train has shape \(2, {other}\).*\({n}, {n}\)"):
        ntkinfo.Kernels(np.eye(n), np.eye(n), np.zeros((2, other)), np.zeros((2, n)), np.eye(2), np.eye(2))


def test_part_of_the_test_blocks_is_refused():
    with pytest.raises(ValueError, match="nngp_test_train, ntk_test, nngp_test missing"):
        ntkinfo.Kernels(np.eye(2), np.eye(2), ntk_test_train=np.zeros((1, 2)))


def test_nan_is_refused():
    with pytest.raises(ValueError, match="1 entries that are not finite"):
        ntkinfo.Kernels(np.diag([1.0, np.nan]), np.eye(2))


@pytest.mark.parametrize("settings", [{"activation": "swish"}, {"hidden_layers": -1}, {"w_std": 0.0}, {"b_std": -1.0}])
def test_architectures_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings)).split("_")[0]):
        ntkinfo.mlp(**settings)


def test_inputs_with_other_features_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(3, 5\)"):
        ntkinfo.Kernels.compute(ntkinfo.mlp().kernel_fn, np.zeros((3, 5)), np.zeros((2, 4)))


def test_a_network_without_readout_is_refused():
    stax = neural_tangents.load().stax
    kernel_fn = stax.serial(stax.Conv(8, (3, 3)))[2]
    with pytest.raises(ValueError, match=r"returned shape .* must be \(2, 2\)"):
        ntkinfo.Kernels.compute(kernel_fn, np.ones((2, 6, 6, 1)), batch_size=2)
