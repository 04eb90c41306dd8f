"""One function over many items, on any executor, with results in the order of the items; and linear algebra on one thread."""

from __future__ import annotations

import functools
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, TypeVar

from dualib.core.arrays import whole
from dualib.core.progress import progress_bar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Value = TypeVar("Value")

AHEAD = 64  # items handed to the executor before the first result is taken, so that an iterator may be long


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread: many small products gain nothing by more, and have the same bits on every machine's pool."""
    with _controller().limit(limits=1):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    """Made once a process: to look for the libraries takes milliseconds."""
    import scipy.linalg  # noqa: F401  (its library is one of those that are limited)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def processes(count: int | None) -> Iterator[Executor | None]:
    """An executor of so many processes, none of which inherits anything; None where that is None: what --workers means.

    Raises
    ------
    ValueError
        If there are to be less than one.
    """
    if count is None:
        yield None
        return
    pool = ProcessPoolExecutor(whole(count, "--workers", 1), mp_context=get_context("spawn"), initializer=_as_worker)
    try:
        yield pool
    except BaseException:  # interrupted, or failed: nobody waits for what the workers are at
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown()


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_worker() -> None:
    """What a worker does first: it ends without a word at Ctrl-C, where that is not ignored, and when the process that began it is gone."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def in_order(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    progress: bool | None = None,
    description: str = "",
    total: int | None = None,
    executor: Executor | None = None,
) -> Iterator[Value]:
    """The values of `function` at the items, in their order, each as soon as it and all before it are there.

    The values do not depend on the executor; where its workers were killed, the rest is computed here, with a warning.
    When the caller stops early or an item raises, what has not begun is cancelled.

    Parameters
    ----------
    function : callable
        Works on one item; with processes it has to be picklable.
    items : iterable
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    description : str
        The text of the bar.
    total : int or None
        The number of items, where they are made one by one when they are needed; None makes all of them first.
    executor : concurrent.futures.Executor or None
        Where to compute: threads, processes, or a cluster's (``client.get_executor()`` of dask.distributed). None computes
        here, one item after the other.
    """
    if total is None:
        items = list(items)
        total = len(items)
    with progress_bar(total, description, progress) as done:
        if executor is None:
            for item in items:
                yield function(item)
                done(1)
            return
        waiting: deque[tuple[Item, Future[Value]]] = deque()

        def first() -> Value:
            item, future = waiting.popleft()
            try:
                return future.result()
            except BrokenExecutor as error:  # a worker was killed: what it did is done here
                warnings.warn(f"{error}: going on in this process", RuntimeWarning, stacklevel=2)
                return function(item)

        try:
            for item in items:
                waiting.append((item, _submitted(executor, function, item)))
                if len(waiting) >= AHEAD:
                    yield first()
                    done(1)
            while waiting:
                yield first()
                done(1)
        finally:
            for _, future in waiting:
                future.cancel()


def _submitted(executor: Executor, function: Callable[[Item], Value], item: Item) -> Future[Value]:
    """The future of an item; one that has failed where the executor takes nothing any more."""
    try:
        return executor.submit(function, item)
    except BrokenExecutor as error:
        future: Future[Value] = Future()
        future.set_exception(error)
        return future
