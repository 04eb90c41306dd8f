"""Kernels of an infinitely wide network on given points: checked, read-only float64 arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dualib.core.arrays import check_positive_semidefinite, of_shape, read_only
from dualib.core.files import writable_directory
from dualib.core.result import Result
from dualib.core.typing import ArrayLike, Float, FloatArray
from ntkinfo.kernels import blocks
from ntkinfo.kernels.cache import SAME, fingerprint
from ntkinfo.kernels.checks import (
    check_above,
    check_joint,
    check_points,
    double,
    kernel_matrix,
    third_kernel,
    variances,
)
from ntkinfo.kernels.compiled import KernelFunction, evaluator, local_devices
from ntkinfo.resources import need

Matrix = Float[np.ndarray, "_ _"]
"""Whose shape the constructor checks against the others', with a message of its own."""

OfTest = Matrix | Float[np.ndarray, " _"]
"""A kernel between test points, or their variances alone."""


@dataclass(frozen=True, eq=False)
class Kernels(Result):
    r"""The NTK Θ, the NNGP kernel K and, where there is one, the third kernel Ω on n training points and m test points.

    Outputs are independent and alike: with k outputs the kernels of all outputs are Θ⊗I_k, K⊗I_k and Ω⊗I_k. Of the chaos
    degrees q of the initialisation K = ΣK_q, Θ = ΣqK_q, Ω = Σq²K_q (:mod:`ntkinfo.kernels.dense`).

    Attributes
    ----------
    ntk, nngp : array, shape (n, n)
        Symmetric positive semi-definite.
    ntk_test_train, nngp_test_train : array, shape (m, n), or None
        None without test points, as the next two.
    ntk_test, nngp_test : array, shape (m, m), or None; or (m,)
        The diagonals suffice for all that concerns one test point at a time: of 50 000 points, 0.8 MB in place of 40 GB.
    omega : array, shape (n, n), or None
        Ω ⪰ Θ ⪰ K. Without it the information in the parameters is that of the linearised network.
    omega_test_train, omega_test : array, shapes (m, n) and that of `ntk_test`, or None
    settings : dict
        What the kernels were made from.

    Raises
    ------
    TypeError
        If an array is of single precision or not real (with the reason).
    ValueError
        If shapes do not match (both are printed), an entry is not finite, a kernel is not symmetric, or not positive
        semi-definite (with its smallest eigenvalue and the remedy), blocks do not belong together ([[K, K_xᵀ], [K_x, K_xx]] of
        either kernel is positive semi-definite within 1e-9 of its 1-norm), or Ω ⪰ Θ ⪰ K fails where Ω is given.

    Examples
    --------
    >>> import numpy as np
    >>> kernels = Kernels(ntk=2 * np.eye(3), nngp=np.eye(3))
    >>> kernels.n_train
    3
    """

    ntk: Matrix
    nngp: Matrix
    ntk_test_train: Matrix | None = None
    nngp_test_train: Matrix | None = None
    ntk_test: OfTest | None = None
    nngp_test: OfTest | None = None
    omega: Matrix | None = None
    omega_test_train: Matrix | None = None
    omega_test: OfTest | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ntk = kernel_matrix(self.ntk, "ntk")
        n = len(ntk)
        found = {"ntk": ntk, "nngp": kernel_matrix(self.nngp, "nngp", n, f"ntk of shape ({n}, {n})")}
        found |= self._test_blocks(n)
        for name in ("ntk", "nngp"):
            if "ntk_test" in found:
                check = check_joint if found["ntk_test"].ndim == 2 else check_points
                check(found[name], found[name + "_test_train"], found[name + "_test"], name)
            else:
                check_positive_semidefinite(found[name], name)
        found |= self._third_kernel(found)
        for name, array in found.items():
            object.__setattr__(self, name, read_only(array))
        if self.omega is not None:
            self.check_ntk_above_nngp()

    def _given(self, names: tuple[str, ...], rule: str) -> bool:
        """Whether all of `names` are given; refused where only some are."""
        missing = [name for name in names if getattr(self, name) is None]
        if 0 < len(missing) < len(names):
            raise ValueError(f"{rule}: {', '.join(missing)} missing")
        return not missing

    def _test_blocks(self, n: int) -> dict[str, FloatArray]:
        names = ("ntk_test_train", "nngp_test_train", "ntk_test", "nngp_test")
        if not self._given(names, "give all four test blocks or none"):
            return {}
        cross = {name: double(getattr(self, name), name) for name in names[:2]}
        first = cross["ntk_test_train"]
        if first.ndim != 2 or first.shape[1] != n or len(first) == 0:
            raise ValueError(
                f"ntk_test_train has shape {first.shape}, but ntk of shape ({n}, {n}) asks for shape (m, {n})"
            )
        like = f"ntk_test_train of shape {first.shape}"
        of_shape(cross["nngp_test_train"], "nngp_test_train", first.shape, like)
        of_test = variances if np.asarray(self.ntk_test).ndim == 1 else kernel_matrix
        return cross | {name: of_test(getattr(self, name), name, len(first), like) for name in names[2:]}

    def _third_kernel(self, found: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        cross = found.get("ntk_test_train")
        names = ("omega", "omega_test_train", "omega_test")
        if cross is None:
            if self.omega_test_train is not None or self.omega_test is not None:
                raise ValueError("omega has test blocks, but ntk and nngp have 0 test points: leave them out")
            return {} if self.omega is None else {"omega": third_kernel(self.omega, found["ntk"], "omega")}
        if not self._given(names, f"there are {len(cross)} test points: give all blocks of omega or none"):
            return {}
        assert self.omega is not None
        assert self.omega_test_train is not None
        assert self.omega_test is not None
        like = f"ntk_test_train of shape {cross.shape}"
        between = of_shape(double(self.omega_test_train, "omega_test_train"), "omega_test_train", cross.shape, like)
        return {
            "omega": third_kernel(self.omega, found["ntk"], "omega"),
            "omega_test_train": between,
            "omega_test": third_kernel(self.omega_test, found["ntk_test"], "omega_test"),
        }

    def check_ntk_above_nngp(self) -> None:
        """Refuse kernels without Θ ⪰ K on the training points and on the test points, within 1e-9 of the 1-norm of Θ - K.

        Every network that trains its last layer in the NTK parameterisation has it: Θ - K = Σ (q - 1) K_q with the chaos degrees
        q >= 1 of the outputs. Kernels in general need not.

        Raises
        ------
        ValueError
            The message gives the smallest eigenvalue of the difference.
        """
        for suffix in ("", "_test") if self.n_test else ("",):
            check_above(
                getattr(self, "ntk" + suffix),
                getattr(self, "nngp" + suffix),
                f"ntk{suffix} - nngp{suffix}",
                f"ntk{suffix} and nngp{suffix} are not of one network that trains all layers, where Θ - K is positive "
                "semi-definite (are they in each other's place?)",
            )

    @property
    def n_train(self) -> int:
        """The number n of training points."""
        return len(self.ntk)

    @property
    def n_test(self) -> int:
        """The number m of test points, 0 without test blocks."""
        return 0 if self.ntk_test is None else len(self.ntk_test)

    @property
    def has_test_covariances(self) -> bool:
        """Whether the test points have kernels with one another, and not their variances alone."""
        return self.ntk_test is None or self.ntk_test.ndim == 2

    def test_part(self, points: slice) -> Kernels:
        """The kernels with some of the test points, their variances alone; views, which are not checked again."""
        part = copy(self)
        for name in ("ntk", "nngp") if self.omega is None else ("ntk", "nngp", "omega"):
            own = getattr(self, f"{name}_test")
            variance = own if own.ndim == 1 else np.diagonal(own)
            object.__setattr__(part, f"{name}_test_train", getattr(self, f"{name}_test_train")[points])
            object.__setattr__(part, f"{name}_test", variance[points])
        return part

    @classmethod
    def compute(
        cls,
        kernel_fn: KernelFunction,
        x_train: ArrayLike,
        x_test: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
        working_memory_gib: float = 2.0,
        jit: bool = True,
        devices: int | None = None,
        test_variances: bool = False,
        cache: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Kernels:
        """Evaluate an analytic kernel function block by block.

        Parameters
        ----------
        kernel_fn : (x1, x2, get) -> object with attributes ``ntk`` and ``nngp``
            What :func:`ntkinfo.mlp` or ``stax.serial`` gives; x2 may be None for x1. It is compiled once for all blocks of all calls.
        x_train, x_test : array, shapes (n, ...) and (m, ...)
        batch_size : int or None
            Points on the side of a block; by default the largest for which a block's work fits in `working_memory_gib`. The
            results take 16 (n² + nm + m²) bytes besides.
        working_memory_gib : float
        jit : bool
            Whether `kernel_fn` is compiled with JAX; False for a kernel function written in NumPy.
        devices : int or None
            On how many of JAX's devices blocks are computed at once; None takes all of this machine. The numbers are the same.
        test_variances : bool
            Whether the test points have their variances alone, which all that concerns one of them at a time needs: m values for m².
        cache : path or None
            An .npz file that keeps the result. Where it exists it is read in place of computing, if it holds the kernels of this
            function on these points.
        progress : bool or None
            Whether to show a bar; None shows it on a terminal.

        Returns
        -------
        Kernels

        Raises
        ------
        ValueError
            If test and training inputs do not match (both shapes are printed), there are fewer devices, `cache` holds other
            kernels, or as on construction.
        """
        used = local_devices(devices) if jit else 1
        evaluate = evaluator(kernel_fn, jit, used)

        def compute(points: tuple[FloatArray, ...], settings: dict[str, object]) -> Kernels:
            options: dict[str, Any] = {"devices": used, "test_variances": test_variances}
            found = blocks.all_blocks(evaluate, points, batch_size, working_memory_gib, progress, **options)
            return cls(**found, settings=settings)

        return cls.kept(cache, x_train, x_test, compute=compute)

    @classmethod
    def kept(
        cls,
        path: str | os.PathLike[str] | None,
        x_train: ArrayLike,
        x_test: ArrayLike | None = None,
        *,
        compute: Callable[[tuple[FloatArray, ...], dict[str, object]], Kernels],
    ) -> Kernels:
        """What `compute` gives for the points, kept in a file, and read from there the next time.

        Parameters
        ----------
        path : path or None
            An .npz file, read where it exists; None keeps nothing.
        x_train, x_test : array, shapes (n, ...) and (m, ...)
        compute : (points, settings) -> Kernels
            Of (x_train,) or (x_train, x_test); `settings` become those of the result.

        Raises
        ------
        MemoryError
            If there is no memory for them (before the work; the message says for how many points there is).
        ValueError
            If the file cannot be written (before the work), is damaged, or holds the kernels of other points or of another network:
            those between the first two points are computed again and compared.
        """
        points = blocks.points(x_train, x_test)
        if path is None or not os.path.exists(path):
            need(len(points[0]), 3.0, "the kernels and their check")
            if path is not None:
                writable_directory(Path(path).parent)
            found = compute(points, {"points": fingerprint(points)})
            if path is not None:
                found.save(path)
            return found
        kernels = cls.load(path)
        if kernels.settings.get("points") != fingerprint(points):
            raise ValueError(f"{os.fspath(path)} holds the kernels of other points: give another file, or remove it")
        first = compute((points[0][:2],), {})
        for name in ("ntk", "nngp", "omega"):
            of_file, of_network = getattr(kernels, name), getattr(first, name)
            if (of_file is None) != (of_network is None):
                there = "without" if of_file is None else "with"
                raise ValueError(f"{os.fspath(path)} holds kernels {there} {name}: give another file, or remove it")
            if of_file is None:
                continue
            worst = float(np.abs(of_network - of_file[:2, :2]).max())
            if worst > SAME * float(np.abs(of_file[:2, :2]).max()):
                raise ValueError(
                    f"{os.fspath(path)} holds the kernels of another network, whose {name} differs by {worst:.3g} at the "
                    "first points: give another file, or remove it"
                )
        return kernels
