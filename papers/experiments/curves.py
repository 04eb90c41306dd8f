"""Bottleneck curves among an experiment's arrays: the one place that takes them apart and puts them together."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import dualib
from dualib.core.files import read_npz, write_npz
from papers.experiments.program import Arrays


def curve_arrays(curve: dualib.InformationCurve, prefix: str) -> Arrays:
    """What a saved bottleneck curve consists of, under names with a prefix."""
    with TemporaryDirectory() as folder:
        curve.save(f"{folder}/curve.npz")
        return {prefix + name: array for name, array in read_npz(f"{folder}/curve.npz").items()}


def curve_from(arrays: Arrays, prefix: str) -> dualib.InformationCurve:
    """The bottleneck curve that :func:`curve_arrays` took apart."""
    parts = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    with TemporaryDirectory() as folder:
        write_npz(f"{folder}/curve.npz", parts)
        return dualib.InformationCurve.load(f"{folder}/curve.npz")
