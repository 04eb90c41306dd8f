"""Finite networks against infinitely wide ones: gradient flow, starts, verdicts and powers of the width."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
