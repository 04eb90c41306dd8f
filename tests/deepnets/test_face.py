"""The face: names are loaded when they are used; JAX then, in its 64-bit mode; without JAX, one line says what to install."""

import subprocess
import sys

import pytest

NO_JAX = """
import sys
class NoJax:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "jax":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoJax)
"""
LINE = 'finite networks need JAX: pip install "ntk-dualib[networks]"'


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_loads_no_jax_and_the_first_network_its_64_bit_mode():
    code = "import sys, deepnets; before = 'jax' in sys.modules; deepnets.Network; import jax; "
    assert python(code + "print(before, jax.config.jax_enable_x64)").stdout == "False True\n"


RECORDED = """
import numpy as np
y = np.arange(8) % 2
recorder = deepnets.Recorder({path!r}, y)
recorder.add(0, {{"hidden": np.linspace(-1, 1, 16).reshape(8, 2), "output": y}})
plane = deepnets.information_plane(recorder.recorded())
deepnets.plotting.plot_plane(plane)
deepnets.gradient_phases
assert "jax" not in sys.modules
"""


def test_tasks_estimators_and_planes_of_other_trainings_need_no_jax(tmp_path):
    code = NO_JAX + "import deepnets; deepnets.icosahedral_task(); deepnets.Binning()"
    found = python(code + RECORDED.format(path=str(tmp_path / "run")))
    assert (found.stderr, found.returncode) == ("", 0)


@pytest.mark.parametrize("use", ["deepnets.Network", "deepnets.train", "deepnets.Run"])
def test_without_jax_an_error_names_the_extra(use):
    found = python(f"{NO_JAX}import deepnets; {use}")
    assert found.stderr.splitlines()[-1] == f"dualib.core.extras.MissingExtra: {LINE}"


def test_without_jax_the_command_says_so_in_one_line():
    code = NO_JAX + "from deepnets.__main__ import main; sys.exit(main(['plane', 'runs']))"
    found = python(code)
    assert (found.returncode, found.stderr) == (2, f"deepnets: error: {LINE}\n")
