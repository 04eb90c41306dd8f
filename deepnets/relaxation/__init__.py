"""Training by relaxation: what may take the place of gradient descent once its noise has taken over."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
