"""Proven ceilings of log G in any dimension, on arrays: boxes of decoders (IB) and cells of rows (IB and dualIB)."""
