"""``dualib curve --samples``: how biased and how uncertain the curve of a sample is, and which β held-out samples support."""

from __future__ import annotations

import argparse
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.commands.task import Task, bad_input, problem_of, report
from dualib.core.command import write_figure
from dualib.core.files import atomic_path
from dualib.core.tables import format_table
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.curves.betas import default_betas
from dualib.joint import Joint
from dualib.plotting import plot_samples
from dualib.sampling.bootstrap import SampledCurve, bootstrap_curve
from dualib.sampling.held_out import HeldOut, held_out_relevance
from dualib.sampling.resamples import counts_of

N_BETAS = 12  # of the default grid: each is solved once a resample


@dataclass(frozen=True)
class MakeProblem:
    """The problem of a resample, smoothed as the sample was."""

    name: str
    alpha: float
    epsilon: float | None
    pseudocount: float | None

    def __call__(self, joint: Joint) -> Bottleneck:
        """The problem of that joint."""
        if self.epsilon is not None or self.pseudocount is not None:
            joint = joint.smoothed(self.epsilon, pseudocount=self.pseudocount)
        return problem_of(self.name, joint, self.alpha)


def check_samples(args: argparse.Namespace) -> None:
    """Refuse fewer than two resamples."""
    if args.resamples < 2:
        raise UsageError(f"--resamples {args.resamples}: at least 2 are needed")


def check_counts(task: Task) -> None:
    """Refuse a joint that is no table of counts."""
    if task.sampled.n_samples is None:
        raise UsageError("--samples needs samples (--x and --y) or a table of counts; this joint is exact")
    with bad_input():
        counts_of(task.sampled)
    if any(problem.name == "dual" for problem in task.problems) and not (task.epsilon or task.pseudocount):
        raise UsageError("--samples with --problem dual: resamples have zeros of their own; smooth, --pseudocount 0.5")


def samples_step(
    problem: Bottleneck,
    betas: FloatArray | None,
    task: Task,
    args: argparse.Namespace,
    out: Path | None,
    executor: Executor | None,
) -> None:
    """Bootstrap and held-out relevance of one problem: printed and saved."""
    grid = default_betas(problem, N_BETAS) if betas is None else betas
    make = MakeProblem(problem.name, args.alpha, task.epsilon, task.pseudocount)
    with bad_input():
        held_out = held_out_relevance(task.sampled, grid, make, executor=executor)
        sampled = bootstrap_curve(task.sampled, grid, make, n_bootstrap=args.resamples, executor=executor)
    report(samples_text(problem.name, sampled, held_out, args.units), args)
    if out is None:
        return
    sampled.save(out / f"{problem.name}_bootstrap.npz")
    held_out.save(out / f"{problem.name}_held_out.npz")
    frame = sampled.to_frame(args.units).merge(
        held_out.to_frame(args.units).add_prefix("held_out_"), "left", None, "beta", "held_out_beta"
    )
    with atomic_path(out / f"{problem.name}_samples.csv") as temporary:
        frame.to_csv(temporary, index=False)
    write_figure(
        out / f"samples_{problem.name}.png", lambda: plot_samples(sampled, held_out, units=args.units), dpi=300
    )


def samples_text(name: str, sampled: SampledCurve, held_out: HeldOut, units: Units = "bits") -> str:
    """One row a β: relevance of the sample, corrected, its band, held out; then the β that the data support."""
    band = f"{sampled.level:.0%} band"
    header = ["β", "clusters", "I(T;Y)", "corrected", band, "held out", "± error"]
    parts = [to_units(getattr(sampled, part)["relevance"], units) for part in ("plug_in", "corrected", "low", "high")]
    outside, error = to_units(held_out.mean, units), to_units(held_out.standard_error, units)
    rows = [
        [f"{beta:.5g}", str(held_out.n_clusters[i]), *(f"{p[i]:z.4f}" for p in parts[:2])]
        + [f"{parts[2][i]:z.4f} … {parts[3][i]:z.4f}", f"{outside[i]:z.4f}", f"{error[i]:z.4f}"]
        for i, beta in enumerate(sampled.beta)
    ]
    with_units = [(h, "" if h in ("β", "clusters") else units) for h in header]
    chosen, best = held_out.simplest, held_out.best
    return "\n".join(
        [
            f"\n{name}: relevance from samples ({sampled.n_bootstrap} resamples; clusters and held out: 5 folds)",
            format_table(with_units, rows),
            f"  held out, β = {held_out.beta[best]:.5g} predicts best; β = {held_out.beta[chosen]:.5g} with "
            f"{held_out.n_clusters[chosen]} clusters is the least rate within one standard error of it",
            "  bands are for the population's optimum at each β; near transitions and far above the first they may fail",
        ]
    )
