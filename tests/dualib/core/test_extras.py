"""Without the extra that brings a library, what needs it ends in one line that names the extra."""

import subprocess
import sys

CODE = """
import sys
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in {"jax", "neural_tangents", "sklearn", "sympy", "mlxtend"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing)
import dualib, ntkinfo
for use in (dualib.examples.digits, dualib.examples.mnist_images, ntkinfo.mlp, ntkinfo.symbolic.one_mode, lambda: ntkinfo.Activation.smooth(abs)):
    try:
        use()
    except ImportError as error:
        print(error)
"""


def test_every_door_names_its_extra():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert [line.split(": ")[1] for line in found.stdout.splitlines()] == [
        'pip install "ntk-dualib[networks]"',
        'pip install "ntk-dualib[images]"',
        *['pip install "ntk-dualib[networks]"'] * 3,
    ]
