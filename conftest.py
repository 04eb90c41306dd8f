"""One thread of BLAS a test process: the suite runs one process a core, and its matrices are small."""

import scipy.linalg  # noqa: F401  (SciPy brings a BLAS of its own)
from threadpoolctl import threadpool_limits

threadpool_limits(1, user_api="blas")
