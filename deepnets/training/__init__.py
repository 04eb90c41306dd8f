"""Training of networks: settings, random numbers, compiled steps, the loop, and the experiments of the literature."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
