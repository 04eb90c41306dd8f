"""The progress bar: on a terminal unless told otherwise."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def is_shown(show: bool | None) -> bool:
    """Whether there is a bar to see; None shows it on a terminal only."""
    return sys.stderr.isatty() if show is None else show


@contextlib.contextmanager
def progress_bar(
    total: int | None, description: str, show: bool | None = None, *, initial: int = 0
) -> Iterator[Callable[[int], object]]:
    """Give a function to call with the number of steps just done.

    Parameters
    ----------
    total : int or None
        Number of steps; None where it is not known.
    description : str
    show : bool or None
        Whether to draw the bar; None draws it on a terminal only.
    initial : int
        Number of steps done before.
    """
    from tqdm import tqdm

    with tqdm(
        total=total, initial=initial, desc=description, disable=None if show is None else not show, leave=False
    ) as bar:
        yield bar.update


@contextlib.contextmanager
def above_the_bar() -> Iterator[None]:
    """What is printed within stands above the bar, where there is one."""
    from tqdm import tqdm

    with tqdm.external_write_mode():
        yield


def counted(
    items: Iterable[Item],
    description: str,
    show: bool | None = None,
    *,
    total: int | None = None,
    note: Callable[[Item], str] | None = None,
) -> Iterator[Item]:
    """The items one by one, with a progress bar.

    Parameters
    ----------
    items : iterable
        Listed first where their number is not given.
    description : str
    show : bool or None
        Whether to draw the bar; None draws it on a terminal only.
    total : int or None
        Number of items.
    note : callable or None
        What the bar says after the last item, of that item.
    """
    from tqdm import tqdm

    known = items if total is not None else list(items)
    with tqdm(
        known, description, total, disable=None if show is None else not show, leave=False, dynamic_ncols=True
    ) as bar:
        for item in bar:
            yield item
            if note is not None:
                bar.set_postfix_str(note(item), refresh=False)
