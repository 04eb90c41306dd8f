"""Convolutions in double precision that stay within their input, on CPUs.

XLA compiles a padded convolution in float64 to masked loads, of which those of the padding lie outside of the input. On CPUs
with AVX-512 LLVM makes whole loads of them (seen with jaxlib 0.10.2: ``vmovupd`` at index -1), whose result is thrown away
but which end the process where the page before the input is not mapped. An input that is padded first has no such loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax


def pad_first_on_cpu() -> None:
    """Have every convolution in float64 with padding or a dilated input compiled with its padding made first; once."""
    try:
        from jax._src.interpreters import mlir
        from jax._src.lax.convolution import conv_general_dilated_p as convolution

        lowerings = mlir._platform_specific_lowerings["cpu"]
        known = lowerings.get(convolution) or mlir._lowerings[convolution]
    except (ImportError, AttributeError, KeyError):  # a JAX that keeps its rules elsewhere
        return
    direct: Any = getattr(known, "rule", known)
    if hasattr(direct, "pads_first"):
        return

    def in_two_steps(lhs: jax.Array, rhs: jax.Array, **settings: Any) -> jax.Array:
        import numpy as np
        from jax import lax

        padding, dilation = settings["padding"], settings["lhs_dilation"]
        config = [(0, 0, 0)] * lhs.ndim
        for axis, (low, high), step in zip(settings["dimension_numbers"].lhs_spec[2:], padding, dilation, strict=True):
            config[axis] = (int(low), int(high), int(step) - 1)
        barrier: Any = lax.optimization_barrier
        padded = barrier(lax.pad(lhs, np.zeros((), lhs.dtype), config))
        none = {"padding": ((0, 0),) * len(padding), "lhs_dilation": (1,) * len(padding)}
        found: jax.Array = convolution.bind(padded, rhs, **settings | none)
        return found

    padded_first = mlir.lower_fun(in_two_steps, multiple_results=False)

    def rule(context: Any, lhs: Any, rhs: Any, **settings: Any) -> Any:
        outside = any(map(any, settings["padding"])) or any(step > 1 for step in settings["lhs_dilation"])
        chosen = padded_first if outside and context.avals_in[0].dtype == "float64" else direct
        return chosen(context, lhs, rhs, **settings)

    rule.pads_first = True  # type: ignore[attr-defined]
    mlir.register_lowering(convolution, rule, platform="cpu")
