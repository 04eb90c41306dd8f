"""Information bottleneck and dual information bottleneck curves, each point with a proven interval.

Everything is in nats and in float64; ``units="bits"`` exists only at the edges (tables, plots, command line). The names are
listed in ``__init__.pyi`` and loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
