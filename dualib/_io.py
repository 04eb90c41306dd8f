"""Tables of the command line, and what the packages below still call here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dualib.core.command import say
from dualib.core.files import DISTRIBUTION, atomic_path, metadata, versions, writable_directory, write_json, write_npz
from dualib.core.files import plain as _plain
from dualib.core.progress import progress_bar
from dualib.core.tables import format_table

from .measures import Units, to_units

if TYPE_CHECKING:
    from dualib.curves.locate import Transition
    from dualib.verification import Verification

    from .curve import InformationCurve

__all__ = [
    "DISTRIBUTION",
    "_plain",
    "atomic_path",
    "curve_table",
    "format_table",
    "metadata",
    "progress_bar",
    "say",
    "transitions_table",
    "verification_table",
    "versions",
    "writable_directory",
    "write_json",
    "write_npz",
]


def curve_table(curve: InformationCurve, units: Units) -> str:
    """One row a β, with the proven interval of F and whether it is the optimum that is proven; remarks under it."""
    names = ("I(X;T)", "I(T;Y)", "clusters", "F ≥", "F ≤", "width", "est. gap")
    header = [("β", ""), *((name, "" if name == "clusters" else units) for name in names), ("optimum", "")]
    columns = (
        curve.rate.clip(0.0),
        curve.relevance.clip(0.0),
        curve.lower_bound,
        curve.objective,
        curve.gap,
        curve.estimated_gap,
    )
    rate, relevance, lower, objective, gap, estimated = (to_units(column, units) for column in columns)
    rows = [
        [f"{curve.beta[i]:.5g}", f"{rate[i]:.6f}", f"{relevance[i]:.6f}", str(curve.n_clusters[i])]
        + [f"{lower[i]:.8f}", f"{objective[i]:.8f}", f"{gap[i]:.1e}", f"{max(estimated[i], 0.0):.1e}"]
        + ["proven" if curve.certified[i] else "estimated"]
        for i in range(len(curve.beta))
    ]
    proven = int(curve.certified.sum())
    lines = [
        format_table(header, rows),
        f"  {proven} of {len(rows)} points proven optimal; every interval F ≥, F ≤ is proven to hold the optimum",
    ]
    if proven < len(rows):
        lines.append("  estimated: no proof of optimality; est. gap is what ascents from many starts could find")
        reason = next((s.status for s in curve.solutions if not s.certified), "")
        lines += [f"  {line}" for line in textwrap.wrap(reason, 96)]
    lines += [f"  {line}" for line in textwrap.wrap(curve.note, 96)]
    lines.append(f"  solving {curve.seconds_solving:.2f} s, certifying {curve.seconds_certifying:.2f} s")
    return "\n".join(lines)


def transitions_table(found: Sequence[Transition]) -> str:
    """One row a transition, with its bracket."""
    if not found:
        return "  none"
    names = ("β", "not below", "not above", "kind", "new cluster", "clusters", "lower end")
    rows = [
        [f"{t.beta:.7g}", f"{t.lower:.9g}", f"{t.upper:.9g}", t.kind, "at a distance" if t.birth else "split"]
        + [f"{t.n_before} → {t.n_after}", "proven" if t.proven else "estimated"]
        for t in found
    ]
    return format_table([(name, "") for name in names], rows)


def verification_table(found: Sequence[Verification], units: Units) -> str:
    """One row a claimed point, between what is proven about F at its β."""
    header = [(n, units) for n in ("claimed F", "F ≥", "F ≤", "excess ≥", "excess ≤")]
    rows = []
    for v in found:
        values = (to_units(x, units) for x in (v.objective, v.lower_bound, v.solution.objective))
        bounds = (to_units(x, units) for x in (v.excess_lower, v.excess_upper))
        rows.append([f"{v.beta:.6g}", *(f"{x:.9f}" for x in values), *(f"{x:.2e}" for x in bounds)])
        rows[-1].append(v.verdict.split(":")[0])
    return format_table([("β", ""), *header, ("verdict", "")], rows)
