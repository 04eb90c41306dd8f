"""neural-tangents on today's JAX, without TensorFlow: the only module here that imports it.

neural-tangents 0.6.5 was written for JAX up to 0.5.3. Two things stand between it and a newer JAX, and both are
repaired before its first import:

- names that JAX has moved (``jax.core.Jaxpr`` and its like, the module ``jax.util``) are put back where it looks for
  them;
- ``neural_tangents.experimental``, which imports TensorFlow for one conversion that nothing here uses, is replaced by
  a module that is empty until somebody asks for something in it.

``import ntkinfo`` calls :func:`install`, so that this happens whoever imports neural-tangents from then on, and when;
``ntkinfo_startup`` sees to it that it is in time.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

from dualib.core.extras import extra
from ntkinfo.kernels.convolutions import pad_first_on_cpu

_PACKAGE = "neural_tangents"
_EXPERIMENTAL = "neural_tangents.experimental"
_MISSING = object()

# (module that neural-tangents looks in, name, modules that may hold it today, best first)
MOVED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *(
        ("jax.core", name, ("jax.extend.core", "jax._src.core"))
        for name in (
            "AbstractValue",
            "Jaxpr",
            "JaxprEqn",
            "Literal",
            "Primitive",
            "ShapedArray",
            "Value",
            "Var",
            "eval_context",
        )
    ),
    ("jax.interpreters.ad", "zeros_like_p", ("jax._src.ad_util",)),
    ("jax.interpreters.ad", "source_info_util", ("jax._src.interpreters.ad", "jax._src")),
    ("jax.interpreters.ad", "UndefinedPrimal", ("jax._src.interpreters.ad",)),
    ("jax.interpreters.ad", "Zero", ("jax._src.interpreters.ad", "jax._src.ad_util")),
    ("jax.util", "safe_map", ("jax._src.util",)),
    ("jax.util", "safe_zip", ("jax._src.util",)),
)


def install() -> None:
    """Have neural-tangents repaired when it is imported, by whomever; nothing is imported now."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def load() -> types.ModuleType:
    """The module ``neural_tangents``, imported on the first call and made to run on the JAX that is installed.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If JAX or neural-tangents is not installed, or JAX no longer has one of the names that neural-tangents needs (the
        message names it, the places that were searched, and the JAX version).
    """
    install()
    with extra("networks", "kernels of architectures need JAX and neural-tangents"):
        pad_first_on_cpu()
        return importlib.import_module(_PACKAGE)


class _Finder(MetaPathFinder):
    """Finds neural-tangents where it is, and has it loaded by :class:`_Repaired`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _EXPERIMENTAL:
            return ModuleSpec(fullname, _Postponed(), is_package=True)
        spec = PathFinder.find_spec(fullname, path) if fullname == _PACKAGE else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Repaired(spec.loader.name, spec.loader.path)
        return spec


class _Repaired(SourceFileLoader):
    """Loads neural-tangents once JAX has what it looks for."""

    def exec_module(self, module: types.ModuleType) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            restore_moved_names(MOVED)
            pad_first_on_cpu()
            super().exec_module(module)


class _Postponed(Loader):
    """Loads ``neural_tangents.experimental`` when something in it is asked for, and TensorFlow with it."""

    def exec_module(self, module: types.ModuleType) -> None:
        def get(name: str) -> object:
            if name.startswith("__"):
                raise AttributeError(name)
            spec = PathFinder.find_spec(_EXPERIMENTAL, sys.modules[_PACKAGE].__path__)
            if spec is None or spec.loader is None:
                raise ImportError(f"neural-tangents has no {_EXPERIMENTAL}")
            del module.__dict__["__getattr__"]
            module.__path__ = list(spec.submodule_search_locations or ())
            spec.loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = get


def restore_moved_names(moved: tuple[tuple[str, str, tuple[str, ...]], ...]) -> None:
    """Give JAX's modules the names that they no longer have: (module, name, modules that may hold it today).

    Raises
    ------
    ImportError
        If a name is in none of them.
    """
    for home, name, places in moved:
        module = _import_or_create(home)
        if _lookup(module, name) is not _MISSING:
            continue
        for place in places:
            value = _lookup(_import_or_none(place), name)
            if value is not _MISSING:
                setattr(module, name, value)
                break
        else:
            import jax

            searched = ", ".join((home, *places))
            raise ImportError(
                f"neural-tangents needs {home}.{name}, which JAX {jax.__version__} has moved: it is not in {searched}. "
                f"Install jax<=0.12, or add the new place of {name} to ntkinfo.kernels.neural_tangents.MOVED. Kernels given "
                "as plain arrays need neither."
            )


def _import_or_none(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _import_or_create(name: str) -> types.ModuleType:
    """The module `name`; where JAX has dropped it, a new empty one in its place."""
    module = _import_or_none(name)
    if module is None:
        parent, _, leaf = name.rpartition(".")
        module = types.ModuleType(name)
        sys.modules[name] = module
        setattr(importlib.import_module(parent), leaf, module)
    return module


def _lookup(module: types.ModuleType | None, name: str) -> object:
    try:
        return getattr(module, name, _MISSING)
    except Exception:  # a deprecated name may raise on access with something other than AttributeError
        return _MISSING
