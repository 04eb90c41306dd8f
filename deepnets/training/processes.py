"""The processes of ``jax.distributed`` that share a training: what each has, and what the first alone does."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from deepnets.backend import jax

Value = TypeVar("Value")


def is_first() -> bool:
    """Whether this is the process that writes files and shows the bar."""
    return bool(jax.process_index() == 0)


def exchanged(value: Value) -> list[Value]:
    """The values of all processes, in their order; each has to ask for them."""
    if jax.process_count() == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    packed = np.frombuffer(pickle.dumps(value), np.uint8)
    lengths = np.asarray(process_allgather(np.array([len(packed)]))).ravel()
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(packed)] = packed
    rows = np.asarray(process_allgather(padded)).reshape(len(lengths), -1)
    return [pickle.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]


def by_first(function: Callable[[], Value]) -> Value:
    """What the function returns, or raises, in the first process, which alone calls it, in all of them."""
    if jax.process_count() == 1:
        return function()
    found: tuple[Any, Exception | None] = (None, None)
    if is_first():
        try:
            found = function(), None
        except Exception as error:  # the others wait for it
            found = None, error
    value, refused = exchanged(found)[0]
    if refused is not None:
        raise refused
    shared: Value = value
    return shared
