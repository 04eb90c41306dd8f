"""What a number is: its name and symbol, its unit, whether it is exact or a bound, of what, under which assumption."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from dualib.core.result import Result
from dualib.core.units import Unit

Function = TypeVar("Function", bound=Callable[..., Any])


class Relation(StrEnum):
    """How a value relates to what it is a value of.

    Examples
    --------
    >>> print(Relation.LOWER, "/", Relation.UPPER_IN_EXPECTATION)
    lower bound / upper bound in expectation
    """

    EXACT = "exact"
    LOWER = "lower bound"
    UPPER = "upper bound"
    UPPER_IN_EXPECTATION = "upper bound in expectation"
    ESTIMATE = "estimate"


@dataclass(frozen=True)
class Quantity(Result):
    """The record of one quantity, written once, over the function that computes it.

    Attributes
    ----------
    name : str
        The name of the function, which a column bears.
    symbol : str
        What axes and legends say.
    unit : Unit
    relation : Relation
        What the value is: exact, a bound of which side, or an estimate.
    of : str
        What it is the value, or the bound, of, and of which variable.
    assumption : str
        Under which it is that; "" for none.
    source : str
        A key of the references with the equation, or "derived here".
    shows : tuple of str and Relation, or None
        The observable of finite networks that it predicts or bounds.
    only : frozenset of StrEnum
        Conditions on the setting without which it has no value.
    provided : frozenset of StrEnum
        Conditions without which the value is no more than an estimate.
    group : StrEnum or None
        What it belongs with in a table or a figure.
    holds_for : StrEnum or None
        The draws of the data of which it is the value or the bound.
    main : bool
        Whether a table of few columns has it.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> entropy = Quantity("entropy", "H(X)", Unit.NATS, Relation.EXACT, "H(X)", "none", "cover2006")
    >>> print(entropy.symbol, entropy.relation)
    H(X) exact
    """

    name: str
    symbol: str
    unit: Unit
    relation: Relation
    of: str
    assumption: str
    source: str
    shows: tuple[str, Relation] | None = None
    only: frozenset[StrEnum] = frozenset()
    provided: frozenset[StrEnum] = frozenset()
    group: StrEnum | None = None
    holds_for: StrEnum | None = None
    main: bool = False


class Registry:
    """Functions with the quantity that each computes, in the order in which they were registered.

    Examples
    --------
    >>> from dualib.core.units import Unit
    >>> registry = Registry()
    >>> @registry.register("H", Unit.NATS, Relation.EXACT, of="H(X)", assumption="none", source="")
    ... def entropy(p):
    ...     return float(-(p * np.log(p)).sum())
    >>> [q.name for q in registry.quantities]
    ['entropy']
    """

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._quantities: dict[str, Quantity] = {}

    def register(
        self,
        symbol: str,
        unit: Unit,
        relation: Relation,
        *,
        of: str,
        source: str,
        assumption: str = "",
        shows: tuple[str, Relation] | None = None,
        only: Iterable[StrEnum] = (),
        provided: Iterable[StrEnum] = (),
        group: StrEnum | None = None,
        holds_for: StrEnum | None = None,
        main: bool = False,
    ) -> Callable[[Function], Function]:
        """Register a function under its own name; the record is in :attr:`quantities` and in ``registry[name]``.

        Raises
        ------
        ValueError
            If another function has that name.
        """

        def record(function: Function) -> Function:
            name = function.__name__
            if name in self._functions:
                raise ValueError(f"two quantities have the name {name!r}")
            self._functions[name] = function
            conditions = frozenset(only), frozenset(provided)
            self._quantities[name] = Quantity(
                name, symbol, unit, relation, of, assumption, source, shows, *conditions, group, holds_for, main
            )
            return function

        return record

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All records, in order."""
        return tuple(self._quantities.values())

    def function(self, name: str) -> Callable[..., Any]:
        """The function of a quantity."""
        self[name]  # refuses an unknown name
        return self._functions[name]

    def __getitem__(self, name: str) -> Quantity:
        if name not in self._quantities:
            raise ValueError(f"there is no quantity {name!r}; there are {', '.join(self._quantities)}")
        return self._quantities[name]

    def __contains__(self, name: object) -> bool:
        return name in self._quantities

    def __iter__(self) -> Iterator[str]:
        return iter(self._quantities)

    def __len__(self) -> int:
        return len(self._quantities)


@cache
def takes(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's parameters."""
    return tuple(inspect.signature(function).parameters)


@cache
def needs(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters without a default: what the function cannot do without."""
    parameters = inspect.signature(function).parameters.items()
    return tuple(name for name, parameter in parameters if parameter.default is inspect.Parameter.empty)
