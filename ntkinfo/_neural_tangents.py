"""neural-tangents on today's JAX, without TensorFlow: the only module here that imports it.

neural-tangents 0.6.5 was written for JAX up to 0.5.3. Two things stand between it and a newer JAX, and both are
repaired before its first import:

- names that JAX has moved (``jax.core.Jaxpr`` and its like, the module ``jax.util``) are put back where it looks for
  them;
- ``neural_tangents.experimental``, which imports TensorFlow for one conversion that nothing here uses, is replaced by
  an empty module.

Nothing happens on import of this module; call :func:`load`.
"""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from typing import Any

_MISSING = object()

# (module that neural-tangents looks in, name, modules that may hold it today, best first)
_MOVED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
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


def load() -> Any:
    """The module ``neural_tangents``, imported on the first call and made to run on the JAX that is installed.

    Returns
    -------
    module

    Raises
    ------
    ImportError: JAX or neural-tangents is not installed, or JAX no longer has one of the names that neural-tangents
        needs (the message
    names it, the places that were searched, and the JAX version).
    """
    if "neural_tangents" not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _restore_moved_names(_MOVED)
            _leave_out_tensorflow()
            importlib.import_module("neural_tangents")
    return sys.modules["neural_tangents"]


def _restore_moved_names(moved: tuple[tuple[str, str, tuple[str, ...]], ...]) -> None:
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
                f"Install jax<=0.12, or add the new place of {name} to ntkinfo._neural_tangents._MOVED. Kernels given "
                "as plain arrays need neither."
            )


def _leave_out_tensorflow() -> None:
    sys.modules.setdefault("neural_tangents.experimental", types.ModuleType("neural_tangents.experimental"))


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


def _lookup(module: types.ModuleType | None, name: str) -> Any:
    try:
        return getattr(module, name, _MISSING)
    except Exception:  # a deprecated name may raise on access with something other than AttributeError
        return _MISSING
