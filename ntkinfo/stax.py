"""``neural_tangents.stax``, on the JAX that is installed and without TensorFlow: ``from ntkinfo import stax``, in any order of imports."""

from typing import Any

from ntkinfo.kernels.neural_tangents import load


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(load().stax, name)


def __dir__() -> list[str]:
    return dir(load().stax)
