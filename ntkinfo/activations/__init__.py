"""Activations: the one list of the project, with what kernels and finite networks need of each."""

from ntkinfo.activations.registry import Activation, names, register

__all__ = ["Activation", "names", "register"]
