"""How many points a curve has at most."""

MAX_POINTS = 400
"""No point is added to a curve by refinement from here on, unless told otherwise."""

LARGEST_GRID = 100_000
"""A grid of more β is refused: the points alone would fill gigabytes."""
