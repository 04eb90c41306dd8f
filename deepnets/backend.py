"""JAX, by the one door of this package, in the 64-bit mode that ``import ntkinfo`` turns on, with what it compiled kept on disk."""

import ntkinfo  # noqa: F401
from dualib.core.extras import extra
from ntkinfo.kernels.cache import compile_on_disk

with extra("networks", "finite networks need JAX"):
    import jax as jax
    import jax.numpy as jnp

compile_on_disk()  # a training compiles for longer than a hundred epochs take

__all__ = ["jax", "jnp"]
