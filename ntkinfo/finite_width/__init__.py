"""Networks of finite width: all corrections of order 1/width, at the start and after training; each name is loaded when first used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
