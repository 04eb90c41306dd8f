"""What finite networks are trained on: patterns, their labels, and the exact law of both."""

from deepnets.tasks.builders import is_made_here, task_from_settings
from deepnets.tasks.digits import digits_task, mnist_task
from deepnets.tasks.files import own_task, relabelled, task_from_npz
from deepnets.tasks.icosahedral import icosahedral_task
from deepnets.tasks.regression import regression_task
from deepnets.tasks.task import Task, as_labels, classes_of, one_hot
from deepnets.tasks.two_gaussians import two_gaussians_task

__all__ = [
    "Task",
    "as_labels",
    "classes_of",
    "digits_task",
    "icosahedral_task",
    "is_made_here",
    "mnist_task",
    "one_hot",
    "own_task",
    "regression_task",
    "relabelled",
    "task_from_npz",
    "task_from_settings",
    "two_gaussians_task",
]
