"""How much of a curve is computed at most."""

MAX_POINTS = 400
"""No point is added to a curve by refinement from here on, unless told otherwise."""

LARGEST_GRID = 100_000
"""A grid of more β is refused: the points alone would fill gigabytes."""

MAX_TRANSITIONS = 50
"""So many transitions are located, by ascending β, unless told otherwise; the others are bracketed by solved points."""

LARGEST_ENCODERS = 20_000_000
"""A curve whose encoders p(t|x) hold more numbers (160 MB) goes without them, and says so."""

CURVE_WORK = 500_000_000
"""Entries of tables (n_x, n_y) computed for all proofs of a curve beyond small dimensions: some ten (dualIB) to fifty
seconds (IB) of one processor."""
