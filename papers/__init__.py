"""The published experiments as claims that a command re-measures: ``python -m papers``."""
