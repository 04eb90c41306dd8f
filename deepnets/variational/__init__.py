"""Variational bottlenecks: objectives, label models, fits, their evaluation, and their gap to the proven optimum."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
