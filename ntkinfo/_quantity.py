"""What a quantity is: exact, a lower bound or an upper bound; under which assumption; from which equation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from dualib.core.quantity import Relation as Relation

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Quantity:
    """The record of one quantity.

    Attributes
    ----------
    name : of the function, or of the column.
    symbol : as it stands in a legend.
    unit : "nats", "nats/tau", or "" for anything that is not an information.
    relation : exact, which sort of bound, or an estimate.
    of : what it is the value, or the bound, of.
    assumption : under which it is that.
    source : a citation and equation number, or "derived here".
    """

    name: str
    symbol: str
    unit: str
    relation: Relation
    of: str
    assumption: str
    source: str


_REGISTRY: dict[str, Quantity] = {}


def quantity(
    relation: str, of: str, assumption: str, source: str, *, symbol: str | None = None, unit: str = ""
) -> Callable[[_Function], _Function]:
    """Record a function as a quantity; the record is its attribute ``quantity``. Its symbol is `of` by default."""

    def record(function: _Function) -> _Function:
        entry = Quantity(function.__name__, symbol or of, unit, Relation(relation), of, assumption, source)
        _REGISTRY[entry.name] = entry
        function.quantity = entry  # type: ignore[attr-defined]
        return function

    return record


def quantities() -> tuple[Quantity, ...]:
    """The records of all quantities of the package."""
    return tuple(_REGISTRY.values())
