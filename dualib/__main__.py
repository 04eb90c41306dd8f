"""Command line: ``dualib curve``, ``dualib transitions``, ``dualib verify`` (also ``python -m dualib``)."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import numpy as np
from threadpoolctl import threadpool_limits

from dualib.curves import transitions
from dualib.solvers.options import Certify
from dualib.verification import Verification, verify

from . import _io, examples, plotting
from . import curve as curves
from .joint import Joint
from .measures import FloatArray, Units, to_units
from .problems import IB, AlphaIB, Bottleneck, DualIB
from .refinement import MAX_POINTS

DESCRIPTION = """\
Bottleneck curves of a finite joint distribution p(x,y), each point with a proven interval for

    F(β) = min over q(t|x), r_t of  I(X;T) + β E d(x, r_T)

    ib     d(x,r) = D(p(y|x) || r)     information bottleneck: F = I(X;T) − β I(T;Y) + β I(X;Y)
    dual   d(x,r) = D(r || p(y|x))     dual information bottleneck; needs every p(y|x) > 0
    alpha  d(x,r) = [1 − Σ_y p(y|x)^α r^(1−α)] / (α(1−α))     between dual (α → 0) and ib (α → 1)

β, the price of a nat of distortion in nats of rate, has no unit. Informations are shown in --units."""

EXAMPLES: dict[str, tuple[Callable[[], Joint], str]] = {
    "digits": (examples.digits, "1797 images of digits in 256 k-means codes x, against their 10 classes y"),
    "toy": (examples.toy, "five x and y = ±1 with p(y|x) ∝ exp(−yx), from the dualIB paper"),
    "icosahedron": (examples.icosahedron, "4096 patterns on an icosahedron and a symmetric, slightly noisy label"),
    "hamming": (partial(examples.hamming, 0.3), "symmetric channel on 4 symbols, error 0.3: first-order transitions"),
}
DIGITS_PSEUDOCOUNT = 0.1
SHELL_WORDS = (  # what an error of the library calls a thing, and what it is called here
    ("joint.smoothed(pseudocount=0.5)", "--pseudocount 0.5"),
    ("joint.smoothed(epsilon=0.01)", "--epsilon 0.01"),
    ("use smoothed(epsilon=...)", "use --epsilon"),
    ("or use IB or AlphaIB", "or take --problem ib or alpha"),
    ("(x= and y=)", "(--x and --y)"),
    ("header=True (they are labels) or header=False (they are data)", "--header (they are labels) or --no-header"),
    ("index=True (they are labels) or index=False (they are data)", "--index (they are labels) or --no-index"),
    ("header= and index= are for", "--header and --index are for"),
    ("give both x= and y= (a table of samples), or neither (a matrix)", "give both --x and --y, or neither"),
)


class UsageError(Exception):
    """Input that cannot be used; the message names the entry and the remedy."""


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line, through :class:`UsageError`."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


@contextmanager
def bad_input() -> Iterator[None]:
    """Errors while the input is read and checked are the user's; later ones are ours and keep their traceback."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {error.filename}; give an .npz or .csv that exists, or --example") from None
    except (ValueError, TypeError, OSError, EOFError, BadZipFile) as error:
        message = str(error)
        for ours, theirs in SHELL_WORDS:
            message = message.replace(ours, theirs)
        raise UsageError(message) from None


# --- reading ---


@dataclass(frozen=True)
class Task:
    """What every command works on."""

    name: str
    joint: Joint
    problems: list[Bottleneck]
    smoothing: str


def read_task(args: argparse.Namespace) -> Task:
    """The joint and the problems named on the command line, checked."""
    if (args.joint is None) == (args.example is None):
        raise UsageError("give one joint distribution: a file (.npz or .csv), or --example NAME")
    joint = EXAMPLES[args.example][0]() if args.example else _read_joint(args)
    pseudocount, note = args.pseudocount, "none"
    if pseudocount is None and args.epsilon is None and args.example == "digits" and "dual" in args.problem:
        pseudocount, note = DIGITS_PSEUDOCOUNT, "default of digits: dual needs p(y|x) > 0"
    elif pseudocount is not None or args.epsilon is not None:
        note = "as asked for"
    if pseudocount is not None or args.epsilon is not None:
        joint = joint.smoothed(args.epsilon, pseudocount=pseudocount)
        rule = f"epsilon {args.epsilon:g}" if pseudocount is None else f"pseudocount {pseudocount:g} in each cell"
        note = f"{rule}, for all problems ({note})"
    make = {"ib": IB, "dual": DualIB, "alpha": lambda j: AlphaIB(j, args.alpha)}
    problems: list[Bottleneck] = [make[name](joint) for name in dict.fromkeys(args.problem)]
    for problem in problems:
        if not np.isfinite(transitions.local_critical_beta(problem)):
            raise UsageError("X and Y are independent: I(X;Y) = 0, there is no curve")
    return Task(args.example or Path(args.joint).stem, joint, problems, note)


def _read_joint(args: argparse.Namespace) -> Joint:
    suffix = Path(args.joint).suffix.lower()
    if suffix == ".npz":
        if args.x or args.y or args.header is not None or args.index is not None:
            raise UsageError("--x, --y, --header and --index are for CSV files; an .npz holds p_xy or counts")
        return Joint.from_npz(args.joint)
    if suffix in (".csv", ".tsv", ".txt"):
        x, y = (c[0] if c and len(c) == 1 else c for c in (args.x, args.y))
        return Joint.from_csv(args.joint, x, y, header=args.header, index=args.index)
    raise UsageError(f"{args.joint}: the name must end in .npz or .csv, so that it is clear how to read it")


def read_betas(words: Sequence[str]) -> FloatArray | None:
    """LO HI N as N geometric values, or None for auto."""
    if list(words) == ["auto"]:
        return None
    try:
        low, high, n = float(words[0]), float(words[1]), int(words[2])
        if len(words) != 3:
            raise IndexError
    except (ValueError, IndexError):
        raise UsageError(f"--betas {' '.join(words)}: give LO HI N (two numbers and how many), or auto") from None
    if not (0.0 < low < np.inf and 0.0 < high < np.inf):
        raise UsageError(f"--betas {' '.join(words)}: every β must be positive and finite")
    if not (low < high and n >= 2):
        raise UsageError(f"--betas {' '.join(words)}: LO must be below HI, and N at least 2")
    return np.geomspace(low, high, n)


def _positive(value: float | None, name: str) -> None:
    if value is not None and not 0.0 < value < np.inf:
        raise UsageError(f"{name} {value:g}: must be positive and finite")


# --- dualib curve ---


def run_curve(args: argparse.Namespace) -> int:
    """Solve, print and save the curve of every problem, each as soon as it is there; then the figures."""
    with bad_input():
        _positive(args.tolerance, "--tolerance")
        if args.tolerance is not None and not args.tolerance > Certify().tolerance:
            raise UsageError(
                f"--tolerance {args.tolerance:g}: must exceed {Certify().tolerance:g} nats, that of one point"
            )
        if args.max_points < 1:
            raise UsageError(f"--max-points {args.max_points}: must be positive")
        betas, task = read_betas(args.betas), read_task(args)
        out = _io.writable_directory(args.out) if args.out else None
    describe(task, args.units)
    found = []
    for problem in task.problems:
        begin = time.perf_counter()
        total = len(betas) if betas is not None and args.tolerance is None else None
        with _io.progress_bar(total, problem.name) as report:
            curve = curves.information_curve(
                problem,
                betas,
                tolerance=args.tolerance,
                max_points=args.max_points,
                certify=not args.no_certify,
                progress=report,
            )
        with _io.progress_bar(None, f"{problem.name}: transitions"):
            curve.transitions  # noqa: B018  (found here, so that their time is counted)
        found.append(curve)
        if out is not None:
            save_curve(out, curve, task, args, time.perf_counter() - begin)
        _io.say(
            f"\n{problem.name}: intrinsic dimension {problem.reduced.dimension}\n{_io.curve_table(curve, args.units)}"
        )
        say_transitions(curve.transitions, problem)
    if out is not None:
        names = save_figures(out, found, args.units)
        _io.say(f"\nsaved in {out}: {', '.join(f'{c.problem}.npz .csv .json' for c in found)}\n  {', '.join(names)}")
    return 0


def describe(task: Task, units: Units) -> None:
    """What the numbers below are of."""
    information = to_units(task.joint.mutual_information(), units)
    samples = "" if task.joint.n_samples is None else f", {task.joint.n_samples:g} samples"
    merged = task.problems[0].reduced.joint.n_x
    rows = f"{task.joint.n_x} x" + (f" ({merged} distinct)" if merged < task.joint.n_x else "")
    _io.say(f"{task.name}: {rows}, {task.joint.n_y} y{samples}, I(X;Y) = {information:.6g} {units}")
    if task.smoothing != "none":
        _io.say(f"smoothing: {task.smoothing}")


def say_transitions(found: Sequence[transitions.Transition], problem: Bottleneck) -> None:
    """The table of transitions, under the local critical β."""
    local = transitions.local_critical_beta(problem)
    _io.say(
        f"\n{problem.name}: transitions in this range (local critical β = {local:.8g})\n{_io.transitions_table(found)}"
    )


def save_curve(out: Path, curve: curves.InformationCurve, task: Task, args: argparse.Namespace, seconds: float) -> None:
    """NAME.npz (nats), NAME.csv (in the units asked for) and NAME.json (how they came about)."""
    curve.save(out / f"{curve.problem}.npz")
    with _io.atomic_path(out / f"{curve.problem}.csv") as temporary:
        curve.to_frame(args.units).to_csv(temporary, index=False)
    units = {".npz": "nats", ".csv": "in the name of each column", "beta": "none", "seconds": "s"}
    more = {
        "problem": curve.problem,
        "transitions": [vars(t) for t in curve.transitions],
        "mutual_information_nats": curve.mutual_information,
        "points": len(curve.beta),
        "points_proven": int(curve.certified.sum()),
        "seconds_solving": curve.seconds_solving,
        "seconds_certifying": curve.seconds_certifying,
        "note": curve.note,
    }
    _io.write_json(out / f"{curve.problem}.json", _io.metadata(settings_of(task, args), units, seconds, **more))


def settings_of(task: Task, args: argparse.Namespace) -> dict[str, Any]:
    """Every setting of a run, for its metadata; the seeds are those of the defaults, which no option changes."""
    said = {key: value for key, value in vars(args).items() if key != "run"}
    joint = {"shape": task.joint.p_xy.shape, "n_samples": task.joint.n_samples, "smoothing": task.smoothing}
    return said | joint | {"seed": 0}


def save_figures(out: Path, found: list[curves.InformationCurve], units: Units) -> list[str]:
    """The figures as PNG; their names."""
    drawings: dict[str, Callable[[], Any]] = {
        "information_plane.png": partial(plotting.plot_information_plane, found, units=units),
        "objective.png": partial(plotting.plot_objective, found, units=units),
    }
    for curve in found:
        drawings[f"bifurcation_{curve.problem}.png"] = partial(plotting.plot_bifurcation, curve)
    for name, draw in drawings.items():
        with _io.atomic_path(out / name) as temporary:
            draw().figure.savefig(temporary, dpi=300)
    return list(drawings)


# --- dualib transitions ---


def run_transitions(args: argparse.Namespace) -> int:
    """Every transition up to --beta-max, printed and saved."""
    with bad_input():
        _positive(args.beta_max, "--beta-max")
        task = read_task(args)
        out = _io.writable_directory(args.out) if args.out else None
    describe(task, args.units)
    for problem in task.problems:
        begin = time.perf_counter()
        beta_max = args.beta_max or 20.0 * transitions.local_critical_beta(problem)
        found = transitions.find_transitions(problem, beta_max)
        if out is not None:
            path, seconds = out / f"{problem.name}_transitions.json", time.perf_counter() - begin
            more = {"problem": problem.name, "beta_max": beta_max, "transitions": [vars(t) for t in found]}
            _io.write_json(
                path, _io.metadata(settings_of(task, args), {"beta": "none", "seconds": "s"}, seconds, **more)
            )
        say_transitions(found, problem)
    return 0


# --- dualib verify ---


def run_verify(args: argparse.Namespace) -> int:
    """Set claimed points against the certified optimum; exit status 1 when one of them is refuted."""
    with bad_input():
        task = read_task(args)
        if len(task.problems) != 1:
            raise UsageError("verify takes one --problem at a time")
        problem = task.problems[0]
        check = read_claims(args.points, problem, args.points_units)
    describe(task, args.units)
    results = []
    for one in check:
        with bad_input():
            results.append(one())
    _io.say(f"\n{problem.name}: {len(results)} claimed points\n{_io.verification_table(results, args.units)}")
    refuted = sum(v.verdict.startswith(("not optimal", "impossible")) for v in results)
    _io.say(f"  {refuted} refuted; verdicts are proofs, except undecided")
    return 1 if refuted else 0


def read_claims(path: str, problem: Bottleneck, units: Units) -> list[Callable[[], Verification]]:
    """One deferred verification for every β of an .npz with beta and encoders, or with beta, rate and relevance."""
    if Path(path).suffix != ".npz":
        raise UsageError(f"--points {path}: an .npz file is expected")
    with np.load(path, allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    beta = np.atleast_1d(found.get("beta", ()))
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


# --- the parser ---


def parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    formatter = argparse.RawDescriptionHelpFormatter
    top = Parser("dualib", description=DESCRIPTION, formatter_class=formatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    known = "\n".join(f"    {name:12} {text}" for name, (_, text) in EXAMPLES.items())
    for name, run, text in (
        ("curve", run_curve, "rate, relevance and F with its proven interval over β; tables, files, figures"),
        ("transitions", run_transitions, "the β at which clusters split, or are born at a distance"),
        ("verify", run_verify, "certify or refute points computed elsewhere"),
    ):
        sub = commands.add_parser(
            name, help=text, description=f"{text}.\n\nexamples of joints:\n{known}", formatter_class=formatter
        )
        sub.set_defaults(run=run)
        _joint_options(sub)
        if name == "curve":
            sub.add_argument("--betas", nargs="+", default=["auto"], metavar="LO HI N | auto", help=BETAS_HELP)
            sub.add_argument(
                "--tolerance", type=float, metavar="NATS", help="add points until F is this sharp at every β"
            )
            sub.add_argument("--max-points", type=int, default=MAX_POINTS, metavar="N", help=MAX_POINTS_HELP)
            sub.add_argument("--no-certify", action="store_true", help="skip the proofs: every point is estimated")
        if name == "transitions":
            sub.add_argument("--beta-max", type=float, help="default: 20 times the local critical β")
        if name == "verify":
            sub.add_argument("--points", required=True, metavar="FILE.npz", help=POINTS_HELP)
            sub.add_argument(
                "--points-units", choices=("nats", "bits"), default="nats", help="of rate and relevance in FILE"
            )
        else:
            sub.add_argument("--out", metavar="DIR", help="where to save results (made if missing)")
    return top


BETAS_HELP = (
    "N geometric values; auto: 50 from 0.8 of the first transition to 20 times the local critical β, and further ones "
    "until neighbours differ by at most 3%% of the largest rate"
)
MAX_POINTS_HELP = f"no β is added beyond N points (default: {MAX_POINTS})"
POINTS_HELP = "beta (k,), and p_t_given_x (k, n_x, n_t), or for ib rate = I(X;T) and relevance = I(T;Y) (k,)"


def _joint_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "joint", nargs="?", metavar="JOINT", help=".npz with p_xy, or counts; .csv matrix, or samples (--x, --y)"
    )
    sub.add_argument("--example", choices=EXAMPLES, help="a joint that comes with the package")
    sub.add_argument("--problem", nargs="+", choices=("ib", "dual", "alpha"), default=["ib"], help="default: ib")
    sub.add_argument("--alpha", type=float, default=0.5, help="α of the problem alpha, in (0, 1)")
    sub.add_argument("--units", choices=("bits", "nats"), default="bits", help="of every information shown")
    sub.add_argument("--x", nargs="+", metavar="COL", help="column(s) of the CSV that make x, one sample a line")
    sub.add_argument("--y", nargs="+", metavar="COL", help="column(s) of the CSV that make y")
    for name, line in (("--header", "row"), ("--index", "column")):
        text = f"the first {line} of a CSV matrix holds labels, or data; needed where they are numbers"
        sub.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
    sub.add_argument(
        "--pseudocount", type=float, metavar="A", help="smoothing of a sampled joint: A more counts a cell"
    )
    sub.add_argument("--epsilon", type=float, metavar="E", help="smoothing: p(y|x) ← (1−E) p(y|x) + E/|Y|")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status: 0, 1 (verify refuted a point), 2 (bad input), 130 (interrupted)."""
    try:
        args = parser().parse_args(argv)
        args.command = shlex.join(["dualib", *(sys.argv[1:] if argv is None else argv)])
        with threadpool_limits(1):  # many small matrices: more threads only wait for one another
            return int(args.run(args))
    except (UsageError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        print("dualib: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dualib: interrupted; the problems finished so far are saved where --out was given", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
