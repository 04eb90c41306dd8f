"""Figures of planes, of single layers, of runs beside one another, and of finite widths against infinite ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
