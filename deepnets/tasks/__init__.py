"""What finite networks are trained on: patterns, their labels, and the exact law of both."""

from deepnets.tasks.task import (
    Task,
    as_labels,
    classes_of,
    digits_task,
    gaussian_task,
    icosahedral_task,
    one_hot,
    regression_task,
    task_from_settings,
)

__all__ = [
    "Task",
    "as_labels",
    "classes_of",
    "digits_task",
    "gaussian_task",
    "icosahedral_task",
    "one_hot",
    "regression_task",
    "task_from_settings",
]
