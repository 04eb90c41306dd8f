"""A network of the user's own, from a file, and the kernels of any network, analytic where they are known."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from dualib.core.typing import ArrayLike, FloatArray
from ntkinfo import adapters
from ntkinfo.architectures import Architecture, no_analytic_kernels
from ntkinfo.kernels import Kernels, empirical
from ntkinfo.kernels.monte_carlo import FiniteNetworks

Network = Architecture | FiniteNetworks


def as_network(value: object, name: str) -> Network:
    """`value` as what this package calls a network: an Architecture, stax's functions, a module of flax, finite networks.

    Raises
    ------
    ValueError
        If it is none of them; the message says how to make it one.
    """
    if isinstance(value, Architecture | FiniteNetworks):
        return value
    if isinstance(value, adapters.FlaxModule):
        return adapters.flax(value)
    if isinstance(value, tuple | list):
        return adapters.stax(value)
    raise ValueError(
        f"{name} is of type {type(value).__name__}: it must be (init_fn, apply_fn, kernel_fn), a module of flax, or what "
        "ntkinfo.adapters makes (adapters.equinox(build), adapters.torch(build), adapters.functions(init, apply))"
    )


def load_network(place: str) -> Network:
    """The network that a Python file has under a name, given as ``FILE.py:NAME``.

    Raises
    ------
    ValueError
        If there is no such file or name, the file cannot be run (the message has its error and line), or it is no network.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise ValueError(f"a network is given as FILE.py:NAME, got {place!r}")
    path = Path(file).resolve()
    spec = importlib.util.spec_from_file_location("network_of_the_user", path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"there is no Python file {file}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[spec.name] = module  # flax and dataclasses look modules up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{file} cannot be run: {type(error).__name__}: {error}{_line(error, path)}") from error
    finally:
        sys.path.remove(str(path.parent))
    if not hasattr(module, name):
        known = ", ".join(key for key in vars(module) if not key.startswith("_"))
        raise ValueError(f"{file} has no {name!r}; it has {known}")
    return as_network(getattr(module, name), place)


def _line(error: BaseException, path: Path) -> str:
    """The last line of that file which the error came through."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f" (line {lines[-1]})" if lines else ""


def has_analytic_kernels(network: Network) -> bool:
    """Whether the kernels of the infinitely wide network are known."""
    return isinstance(network, Architecture) and network.kernel_fn is not no_analytic_kernels


def kernels_of(
    network: Network,
    x_train: ArrayLike,
    x_test: ArrayLike | None = None,
    *,
    replicas: int = 32,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Kernels:
    """The analytic kernels of a network, or, where they are not known, their means over finite networks.

    Parameters
    ----------
    network : Architecture or FiniteNetworks
    x_train, x_test : array, shapes (n, ...) and (m, ...)
    replicas, seed : int
        How many finite networks, and the seed of their initialisations.
    cache : path or None
        An .npz file that keeps the result; see :meth:`ntkinfo.Kernels.compute`.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    """
    if isinstance(network, Architecture) and has_analytic_kernels(network):
        return Kernels.compute(network.kernel_fn, x_train, x_test, cache=cache, progress=progress)

    def compute(points: tuple[FloatArray, ...], settings: dict[str, object]) -> Kernels:
        found = empirical(network, *points, replicas=replicas, seed=seed, settings=settings, progress=progress)
        return found.kernels

    return Kernels.kept(cache, x_train, x_test, compute=compute)
