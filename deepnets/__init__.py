"""Finite networks, trained here, that the theories of dualib and ntkinfo are checked against.

JAX is loaded when a name below is first used that needs it, in its 64-bit mode, in which information is computed; the
environment variable ``IB_NTK_X64=0`` turns that mode off. Networks are trained in single precision unless they say otherwise.

Values are in nats; units="bits" is the default of tables, plots and commands.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
