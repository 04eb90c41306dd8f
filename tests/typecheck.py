"""The checker of shapes in the tests: beartype, for the annotations that name a shape. mypy checks the others."""

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype


def names_a_shape(hint: Any) -> bool:
    """Whether a jaxtyping array stands in the annotation, by itself or within a union or a tuple."""
    return hasattr(hint, "dim_str") or any(map(names_a_shape, get_args(hint)))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the shapes of its arguments and of its result checked at every call."""
    hints = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        try:
            value = eval(hint, function.__globals__) if isinstance(hint, str) else hint
        except (NameError, AttributeError):  # imported for type checkers alone
            continue
        if names_a_shape(value):
            hints[name] = value
    function.__annotations__ = hints
    return beartype(function)
