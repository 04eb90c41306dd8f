"""Finite networks, trained here, that the theories of dualib and ntkinfo are checked against (in preparation)."""
