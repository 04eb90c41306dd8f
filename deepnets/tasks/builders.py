"""The tasks of this package by name, so that settings make them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deepnets.tasks.digits import digits_task, mnist_task
from deepnets.tasks.icosahedral import icosahedral_task
from deepnets.tasks.regression import regression_task
from deepnets.tasks.task import Task
from deepnets.tasks.two_gaussians import two_gaussians_task

BUILDERS: dict[str, Callable[..., Task]] = {
    "icosahedral": icosahedral_task,
    "two_gaussians": two_gaussians_task,
    "regression": regression_task,
    "digits": digits_task,
    "mnist": mnist_task,
}


def is_made_here(settings: Mapping[str, Any]) -> bool:
    """Whether a task of these settings is made by a function of this package.

    Examples
    --------
    >>> is_made_here({"task": "icosahedral"}), is_made_here({"task": "own"})
    (True, False)
    """
    return settings.get("task") in BUILDERS


def task_from_settings(settings: Mapping[str, Any]) -> Task:
    """The task whose ``settings`` these are.

    Raises
    ------
    ValueError
        If they are settings of no task of this package.

    Examples
    --------
    >>> import deepnets
    >>> task = deepnets.two_gaussians_task(100, x_dim=3)
    >>> bool((task_from_settings(task.settings).x == task.x).all())
    True
    """
    if not is_made_here(settings):
        raise ValueError(f"these settings make no task of deepnets: {dict(settings)}; pass the task itself")
    return BUILDERS[settings["task"]](**{k: v for k, v in settings.items() if k != "task"})
