"""Finite networks, trained here, that the theories of :mod:`dualib` and :mod:`ntkinfo` are checked against (in preparation)."""
