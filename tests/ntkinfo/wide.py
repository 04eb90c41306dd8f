"""Training times over eighteen decades, and 0."""

import numpy as np

WIDE = np.concatenate([[0.0], np.geomspace(1e-6, 1e12, 19)])
