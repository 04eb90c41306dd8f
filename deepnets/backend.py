"""JAX, by the one door of this package, in the 64-bit mode that ``import ntkinfo`` turns on, with what it compiled kept on disk."""

import ntkinfo  # noqa: F401
from ntkinfo.kernels.cache import compile_on_disk

try:
    import jax as jax
    import jax.numpy as jnp
except ImportError:
    raise ImportError('finite networks need JAX: pip install "ntk-dualib[networks]"') from None

compile_on_disk()  # a training compiles for longer than a hundred epochs take

__all__ = ["jax", "jnp"]
