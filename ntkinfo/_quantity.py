"""What a quantity is: exact, a lower bound or an upper bound; under which assumption; from which equation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Kind = Literal["exact", "lower bound", "upper bound", "upper bound in expectation", "estimate"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Quantity:
    """The record of one quantity.

    Attributes
    ----------
    name : of the function.
    kind : what the value is: exact, or which sort of bound, or an estimate.
    of : what it is the value, or the bound, of.
    assumption : under which it is that.
    source : a citation and equation number, or "derived here".
    """

    name: str
    kind: Kind
    of: str
    assumption: str
    source: str


_REGISTRY: dict[str, Quantity] = {}


def quantity(kind: Kind, of: str, assumption: str, source: str) -> Callable[[_Function], _Function]:
    """Record a function as a quantity; the record is its attribute ``quantity``."""

    def record(function: _Function) -> _Function:
        entry = Quantity(function.__name__, kind, of, assumption, source)
        _REGISTRY[entry.name] = entry
        function.quantity = entry  # type: ignore[attr-defined]
        return function

    return record


def quantities() -> tuple[Quantity, ...]:
    """The records of all quantities of the package."""
    return tuple(_REGISTRY.values())
