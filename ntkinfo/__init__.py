"""Closed-form information quantities of infinite ensembles of infinitely wide networks.

Importing this package turns JAX's 64-bit mode on, because spectra of kernels span more orders of magnitude than single
precision holds; the environment variable ``IB_NTK_X64=0`` turns that off. JAX itself, and neural-tangents, are imported
only when an architecture's kernels are asked for: kernels given as plain arrays need neither. What the names below need is
loaded when they are first used.

Values are in nats; ``units="bits"`` is the default of tables, plots and commands.
"""

import os
import sys

import lazy_loader

from ntkinfo.kernels.neural_tangents import install

if os.environ.get("IB_NTK_X64", "1") != "0":
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)
    else:
        os.environ["JAX_ENABLE_X64"] = "1"

install()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
