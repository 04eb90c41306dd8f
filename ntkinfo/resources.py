"""What an ensemble of n training points takes of memory and time, said before the work, and refused where it is not there.

The largest things are n × n matrices of doubles: Θ and K (and Ω), the eigenvectors of Θ with LAPACK's workspace; later these
eigenvectors, K among them, and the inverse of K among them (or Ω among them, which comes after it). A subset of the eigenvectors would
not do: informations in the parameters weigh every mode by its time τλ, and variances at the end of training come from the smallest
eigenvalues, of which iterations that multiply by Θ know nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from sys import modules
from time import process_time

import numpy as np

from dualib.core.factor import panel_columns
from dualib.core.parallel import one_thread

DOUBLE = 8
GIB = 2**30

EIGENVECTORS = 3.0
"""Matrices that the decomposition of Θ adds: its eigenvectors, and twice as much of workspace (LAPACK's dsyevd)."""

LARGEST_EVD = 32_700
"""Points beyond which dsyevd's workspace of 2 n² doubles has no 32-bit length; dsyevr then takes its place."""

LARGEST_BATCH = 2**24
"""Doubles in a batch of times, so that a batch of a large ensemble is small beside its matrices."""

PAIRS = 2**20
"""Pairs of test points at once, of whose distances there are about ten arrays."""

PAIR_ROWS = 128
"""Rows of pairs of modes at once, of which the third kernel's information has ten arrays."""

_BASE = 0.25 * GIB  # Python with its libraries, and what blocks leave behind
_JAX = 0.3 * GIB  # its compiler and its blocks
_SMALL = 0.25 * GIB  # needs below it are not compared with what there is
_TRIAL = 400
_TIMES = 25
LARGE = 2000
"""Training points from which it is said what they need."""
_CUBES = 1.3  # whole table in units of its eigendecomposition, at n = 20 000; n test points at 25 times take one more


@dataclass(frozen=True)
class Needs:
    """What kernels, eigenmodes and table of an ensemble take.

    Attributes
    ----------
    n_train, n_test : int
    matrices : float
        The most matrices of n × n doubles that are there at once.
    memory : float
        Bytes.
    tables : int
        How many tables are computed, one after the other.

    Examples
    --------
    >>> taken = needs(1_000)
    >>> taken.n_train, taken.matrices
    (1000, 5.0)
    """

    n_train: int
    n_test: int
    matrices: float
    memory: float
    tables: int = 1

    @property
    def seconds(self) -> float:
        """An estimate, from a small eigendecomposition on this machine; the kernels come on top, and their bar says how long."""
        cubes = _CUBES * self.n_train + self.n_test
        return self.tables * cubes * self.n_train**2 * _trial_seconds() / _TRIAL**3

    def describe(self) -> str:
        """Points, memory and time in words."""
        return f"n = {self.n_train}: {self.memory / GIB:.1f} GiB, about {_words(self.seconds)}"

    def check(self) -> None:
        """Refuse what this machine has not got.

        Raises
        ------
        MemoryError
            With both amounts, and the most points for which the memory would do.
        """
        refuse(self.n_train, self.matrices, self.memory, "kernels, eigenvectors and table")


def needs(
    n_train: int, n_test: int = 0, *, third_kernel: bool = False, digits: bool = False, test_variances: bool = False
) -> Needs:
    """What an ensemble takes from its kernels to the end of its table.

    Parameters
    ----------
    n_train, n_test : int
    third_kernel : bool
        Whether its kernels have Ω.
    digits : bool
        Whether the table is made with ``digits=True``: then other kernels, and their eigenvectors, lie beside the first ones and all
        that these have among theirs.
    test_variances : bool
        Whether of the kernels between test points the diagonals alone are there: then test points come a few at a time.

    Returns
    -------
    Needs

    Examples
    --------
    >>> round(needs(10_000, 1_000).memory / 2**30, 1)  # GiB
    4.7
    """
    kernels = 3 if third_kernel else 2
    matrices = kernels + EIGENVECTORS + (2 * kernels if digits else 0)
    at_a_time = min(n_test, max(1, LARGEST_BATCH // max(n_train, 1))) if test_variances else n_test
    times = min(_TIMES, max(1, batch_size(n_train) // max(n_test, 1) ** 2))
    joint = 0 if test_variances else n_test**2 * times  # of the test points' covariances in a batch of times
    halves = 4 * _TIMES * n_train * min(at_a_time, 1)  # of a test point at all times, and what these consist of
    halves = max(halves, min(2 * batch_size(n_train), halves * at_a_time))
    pairs = 15 * min(n_test**2, PAIRS)
    at_once = max(n_train**2, 1.3 * halves + 2 * joint, 7 * joint, pairs)  # the last matrix, or what takes its place
    a_row = n_train + (1 if test_variances else n_test)  # of a test point in a kernel
    modes = 2 * at_a_time * n_train  # test points among the eigenvectors
    beside = kernels * n_test * a_row + modes
    if digits:
        beside += (kernels + 1) * n_test * a_row + modes  # of the other kernels, one of them twice
    beside += 10 * (_TIMES + (PAIR_ROWS if third_kernel else 0)) * n_train  # spectra, pairs of modes
    beside += 10 * _TIMES * n_test  # laws of single points
    beside += 2 * panel_columns(n_train) * n_train  # of Cholesky factors
    largest = (matrices - 1) * n_train**2 + at_once + beside
    if digits:  # while other kernels are made and checked: two kernels' copies of all points, and of the first ones what they have
        copies = kernels * a_row * (n_train + n_test)
        largest = max(largest, (3 * kernels + 1) * n_train**2 + copies + beside)
    memory = DOUBLE * largest
    tables = 4 if digits else 1
    return Needs(n_train, n_test, matrices, memory + _BASE + (_JAX if "jax" in modules else 0.0), tables)


def need(n: int, matrices: float, what: str) -> None:
    """Refuse, before the work, matrices of n × n doubles for which there is no memory left.

    Raises
    ------
    MemoryError
        As of :meth:`Needs.check`.

    Examples
    --------
    >>> need(1_000, 2.0, "the Gram matrix")  # 16 MB: nothing is said
    """
    refuse(n, matrices, DOUBLE * matrices * n**2, what)


def refuse(n: int, matrices: float, memory: float, what: str) -> None:
    """The refusal of `need` and of :meth:`Needs.check`.

    Examples
    --------
    >>> refuse(1_000, 2.0, 16e6, "the Gram matrix")  # 16 MB: nothing is said
    """
    there = available_memory() if memory > _SMALL else None
    if there is None or memory <= there:
        return
    spare = max(there - (memory - DOUBLE * matrices * n**2), 0.0)
    most = int(np.sqrt(spare / (DOUBLE * matrices)))
    raise MemoryError(
        f"n = {n} training points need {memory / GIB:.1f} GiB for {what} ({matrices:g} matrices of n² doubles), and "
        f"{there / GIB:.1f} GiB are free: that is enough for n = {most}. Take fewer points, or a machine with more memory; "
        "kernels given as memory maps (numpy.load(..., mmap_mode='r')) lie on disk and take none"
    )


def available_memory() -> float | None:
    """Bytes that this process may still take: of the machine, and of its control group; None where it is not known.

    Examples
    --------
    >>> memory = available_memory()
    >>> memory is None or memory > 0
    True
    """
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            taken = int((group / "memory.current").read_text()) - int(stat.get("inactive_file", 0))
            found.append(float(int(limit) - taken))
    except OSError:
        pass
    return min(found, default=None)


def batch_size(n: int) -> int:
    """Doubles in a batch of times of n training points: half a matrix where that is small, a quarter and at most a given number beyond.

    Examples
    --------
    >>> batch_size(2000), batch_size(6000)
    (2000000, 9000000)
    """
    return min(max(n**2 // 4, min(n**2 // 2, 2**22)), LARGEST_BATCH)


def column_blocks(n: int, size: int = 512) -> list[slice]:
    """Slices of a matrix of n columns, or rows, one after the other.

    Examples
    --------
    >>> column_blocks(1000)
    [slice(0, 512, None), slice(512, 1000, None)]
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


@cache
def _trial_seconds() -> float:
    """Of a small eigendecomposition, by one thread's own time, which others on the machine do not stretch; k threads gain about √k."""
    from threadpoolctl import threadpool_info

    threads = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    matrix = np.random.default_rng(0).standard_normal((_TRIAL, _TRIAL))
    matrix, seconds = matrix @ matrix.T, []
    with one_thread():
        for _ in range(3):
            start = process_time()
            np.linalg.eigh(matrix)
            seconds.append(process_time() - start)
    return min(seconds) / sqrt(threads)


def _words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
