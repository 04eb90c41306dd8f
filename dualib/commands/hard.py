"""``dualib curve --hard``: hard clusterings beside the curve, printed and saved with their distance to it."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np

from dualib.commands.task import Task, report
from dualib.core.files import atomic_path
from dualib.core.tables import format_table
from dualib.core.units import Units, to_units
from dualib.curves.curve import InformationCurve
from dualib.curves.hard_points import HardPoints, hard_points

HARD_ROWS = 10  # printed of each method


def hard_step(found: list[InformationCurve], task: Task, args: argparse.Namespace, out: Path | None) -> HardPoints:
    """Hard clusterings beside the curves: printed and saved."""
    curve = next((curve for curve in found if curve.problem == "ib"), None)
    points = hard_points(task.joint, curve)
    frame = points.to_frame(args.units)
    if out is not None:
        points.save(out / "hard.npz")
        with atomic_path(out / "hard.csv") as temporary:
            frame.to_csv(temporary, index=False)
    report(hard_text(points, args.units), args)
    return points


def hard_text(points: HardPoints, units: Units = "bits") -> str:
    """Up to ten clusterings of each method, with the proven interval of their distance below the IB curve."""
    rows = []
    for method, f, low, high in zip(points.methods, points.found, points.below_low, points.below_high, strict=True):
        for i in np.unique(np.linspace(0, len(f) - 1, min(len(f), HARD_ROWS)).astype(int)):
            rate, relevance, near, far = (float(to_units(v[i], units)) for v in (f.rate, f.relevance, low, high))
            rows.append(
                [str(method), str(f.n_clusters[i]), f"{rate:.6f}", f"{relevance:.6f}", f"{near:.6f} … {far:.6f}"]
            )
    header = [("method", ""), ("clusters", ""), ("H(T)", units), ("I(T;Y)", units), ("below the IB curve", units)]
    text = f"\nhard clusterings, some of each method\n{format_table(header, rows)}"
    lines = textwrap.wrap(points.note, 96)
    return "\n".join([text, *(f"  {line}" for line in lines)])
