"""What a variational fit is fitted to: the patterns of a task with their law, or the rows of a joint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from deepnets.tasks import Task
from dualib.core.result import Result
from dualib.core.special import entropy_nats
from dualib.core.typing import Float, FloatArray, Int, IntArray
from dualib.joint import Joint


@dataclass(frozen=True, eq=False)
class Patterns(Result):
    """Patterns with their law.

    Attributes
    ----------
    p_x : array, shape (n,)
    p_y_given_x : array, shape (n, k)
        Of real data one-hot: the labels, taken to be certain.
    x : array, shape (n, d), or None
        None for the rows of a joint.
    y : array of int, shape (n,), or None
        The observed labels.
    """

    p_x: Float[np.ndarray, " n"]
    p_y_given_x: Float[np.ndarray, "n k"]
    x: FloatArray | None = None
    y: IntArray | None = None

    @classmethod
    def of(cls, data: Task | Joint) -> Patterns:
        """Of a task all patterns; of a joint its rows, equal ones merged.

        Raises
        ------
        TypeError
            If it is neither.
        """
        if isinstance(data, Task):
            return cls(data.p_x, data.p_y_given_x, data.x, data.y)
        if isinstance(data, Joint):
            merged = data.merge_equal_rows().joint
            return cls(merged.p_x, merged.p_y_given_x)
        raise TypeError(f"a variational fit takes a deepnets.Task or a dualib.Joint, got {type(data).__name__}")

    @cached_property
    def joint(self) -> Joint:
        """The law p(x, y)."""
        return Joint.from_conditional(self.p_x, self.p_y_given_x)

    @property
    def n(self) -> int:
        """The number of patterns."""
        return len(self.p_x)

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return int(self.p_y_given_x.shape[1])

    @property
    def entropy_y(self) -> float:
        """H(Y), nats."""
        return float(entropy_nats(self.p_x @ self.p_y_given_x))

    def digest(self) -> str:
        """A hash of all arrays: equal for equal patterns under an equal law."""
        content = hashlib.sha256()
        for array in (self.p_x, self.p_y_given_x, self.x, self.y):
            if array is not None:
                content.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return content.hexdigest()[:16]

    def labels(self) -> Int[np.ndarray, " n"]:
        """The observed labels; a ValueError where there are none."""
        if self.y is None:
            raise ValueError("a joint has no observed labels: train on its law, with the label model Exact()")
        return self.y
