"""Run at the start of Python, by ``ntkinfo_startup.pth`` beside the installed package: `neural_tangents` may be imported before `ntkinfo`.

neural-tangents 0.6.5 cannot be imported by itself without TensorFlow, or on JAX past 0.5. ``import ntkinfo`` mends both
(:mod:`ntkinfo.kernels.neural_tangents`), but sorted imports ask for neural-tangents first. So whoever asks for it where it would
fail gets `ntkinfo` imported before it. Nothing else is done, and nothing is imported at the start.
"""

from __future__ import annotations

import sys

PACKAGE, LAST_JAX = "neural_tangents", (0, 5)


class NtkinfoFirst:
    """Finds neural-tangents through ntkinfo's finder, where it cannot be imported as it is."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> object:
        """The mended package's spec, or None for all that is not neural-tangents."""
        if fullname != PACKAGE:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        from importlib.util import find_spec

        if find_spec("tensorflow") is None or _jax() > LAST_JAX:
            import ntkinfo.kernels.neural_tangents

            ntkinfo.kernels.neural_tangents.install()
        return find_spec(PACKAGE)


def _jax() -> tuple[int, ...]:
    """JAX's version, major and minor; none is the oldest."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return tuple(int(part) for part in version("jax").split(".")[:2])
    except PackageNotFoundError:
        return (0,)


if PACKAGE not in sys.modules and not any(isinstance(finder, NtkinfoFirst) for finder in sys.meta_path):
    sys.meta_path.insert(0, NtkinfoFirst())  # type: ignore[arg-type]
