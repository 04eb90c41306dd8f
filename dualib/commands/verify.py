"""``dualib verify``: claimed points against the certified optimum; exit status 1 when one of them is refuted."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.commands.task import Task, bad_input, report
from dualib.core.files import read_npz
from dualib.core.tables import format_table
from dualib.core.units import Units, to_units
from dualib.verification import Verification, verify

ROUNDING = 1e-9  # nats: an excess that is less is no refutation


def run(args: argparse.Namespace) -> int:
    """The command."""
    task = Task.of(args)
    if len(task.problems) != 1:
        raise UsageError("verify takes one --problem at a time")
    problem = task.problems[0]
    with bad_input():
        checks = read_claims(args.points, problem, args.points_units)
        report(task.describe(args.units), args)
        results = [check() for check in checks]
    report(f"\n{problem.name}: {len(results)} claimed points\n{verification_text(results, args.units)}", args)
    refuted = sum(map(is_refuted, results))
    report(f"  {refuted} refuted; verdicts are proofs, except undecided", args)
    return 1 if refuted else 0


def is_refuted(claim: Verification) -> bool:
    """Whether a claim is proven to be no optimum, or impossible."""
    return claim.excess_upper < -ROUNDING or (not claim.certified and claim.excess_lower > ROUNDING)


def read_claims(path: str, problem: Bottleneck, units: Units = "bits") -> list[Callable[[], Verification]]:
    """One deferred verification for every β of an .npz with beta and encoders, or with beta, rate and relevance."""
    if Path(path).suffix != ".npz":
        raise UsageError(f"--points {path}: an .npz file is expected")
    found = read_npz(path)
    beta = np.atleast_1d(found.get("beta", np.zeros(0)))
    if not (beta.ndim == 1 and beta.size and beta.dtype.kind in "fiu" and (beta > 0).all() and np.isfinite(beta).all()):
        raise UsageError(f"{path}: needs an array beta of positive numbers; it holds {sorted(found)}")
    names = ["p_t_given_x"] if "p_t_given_x" in found else ["rate", "relevance"]
    for name in names:
        if name not in found:
            raise UsageError(
                f"{path} has no {name}; needed: beta and p_t_given_x (k, n_x, n_t), or rate and relevance (k,)"
            )
        if len(found[name]) != len(beta) or not np.isfinite(found[name]).all():
            raise UsageError(f"{path}: {name} must hold {len(beta)} finite entries, one for each beta")
    if names[0] == "p_t_given_x":
        return [partial(verify, problem, b, q) for b, q in zip(beta, found["p_t_given_x"], strict=True)]
    if problem.name != "ib":
        raise UsageError(f"{path}: rate and relevance do not fix the objective of {problem.name}; give p_t_given_x")
    scale = 1.0 / to_units(1.0, units)
    pairs = zip(beta, found["rate"] * scale, found["relevance"] * scale, strict=True)
    return [partial(verify, problem, b, rate=float(r), relevance=float(i)) for b, r, i in pairs]


def verification_text(found: Sequence[Verification], units: Units = "bits") -> str:
    """One row a claimed point, between what is proven about F at its β."""
    header = [(n, units) for n in ("claimed F", "F ≥", "F ≤", "excess ≥", "excess ≤")]
    rows = []
    for v in found:
        values = (to_units(x, units) for x in (v.objective, v.lower_bound, v.solution.objective))
        bounds = (to_units(x, units) for x in (v.excess_lower, v.excess_upper))
        rows.append([f"{v.beta:.6g}", *(f"{x:.9f}" for x in values), *(f"{x:.2e}" for x in bounds)])
        rows[-1].append(str(v.verdict))
    return format_table([("β", ""), *header, ("verdict", "")], rows)
