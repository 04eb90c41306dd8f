"""JAX, by the one door of this package, in the 64-bit mode that ``import ntkinfo`` turns on."""

import ntkinfo  # noqa: F401

try:
    import jax as jax
    import jax.numpy as jnp
except ImportError:
    raise ImportError('finite networks need JAX: pip install "ntk-dualib[networks]"') from None

__all__ = ["jax", "jnp"]
