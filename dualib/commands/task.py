"""What every command works on: the joint and the problems that the command line names, read and checked."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualib import examples
from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.core.command import say
from dualib.core.figure import check_matplotlib
from dualib.core.files import read_npy, read_npz
from dualib.core.parallel import cores
from dualib.core.progress import above_the_bar
from dualib.core.typing import FloatArray
from dualib.core.units import Units, to_units
from dualib.curves.transitions import local_critical_beta
from dualib.joint import Joint
from dualib.joint_csv import read_matrix, read_vector
from dualib.problems import IB, AlphaIB, DualIB
from dualib.solvers.cost import Cost, expected_cost
from dualib.solvers.options import AUTO, Certify, CertifyLike

FORMATS = (".png", ".pdf", ".svg")
HAMMING_ERROR = 0.3
JOINTS: Mapping[str, Callable[[], Joint]] = {
    "digits": examples.digits,
    "toy": examples.toy,
    "icosahedron": examples.icosahedron,
    "hamming": lambda: examples.hamming(HAMMING_ERROR),
}
DIGITS_PSEUDOCOUNT = 0.1
WORDS = (  # what an error of the library calls a thing, and what it is called here
    ("joint.smoothed(pseudocount=0.5)", "--pseudocount 0.5"),
    ("joint.smoothed(epsilon=0.01)", "--epsilon 0.01"),
    ("use smoothed(epsilon=...)", "use --epsilon"),
    ("or use IB or AlphaIB", "or take --problem ib or alpha"),
    ("(x= and y=)", "(--x and --y)"),
    ("header=True (they are labels) or header=False (they are data)", "--header (they are labels) or --no-header"),
    ("index=True (they are labels) or index=False (they are data)", "--index (they are labels) or --no-index"),
    ("header= and index= are for", "--header and --index are for"),
    ("give both x= and y= (a table of samples), or neither (a matrix)", "give both --x and --y, or neither"),
    ("p_x=, normalise= and drop_empty= are for", "--p-x, --normalise and --drop-empty are for"),
    ("drop it, p[p.sum(1) > 0], or", "leave it out with --drop-empty, or"),
    ("drop it, p[:, p.sum(0) > 0], or", "leave it out with --drop-empty, or"),
    ("bins= is for a table of samples (x= and y=)", "--bins is for a table of samples (--x and --y)"),
    ("(bins=10)", "(--bins 10)"),
    ("raise max_work", "raise --max-work"),
    ("of max_work =", "of --max-work"),
    ("divide it by its sum", "take --normalise"),
    ("normalise it, Joint(p / p.sum()), or use Joint.from_counts(p) if it holds counts", "take --normalise"),
    ("if they are p(y|x), use Joint.from_conditional(p_x, p_y_given_x)", "if they are p(y|x), give p(x) with --p-x"),
)
LARGEST_CSV = 50_000_000  # bytes of a CSV file that is read without being asked twice
CSV_MEMORY = 60  # bytes of memory a byte of a CSV matrix
CSV_SECONDS = 5e-7  # seconds a byte
LONGEST, LARGEST_SHARE = 3600.0, 0.5  # seconds, and share of the memory, from which on --yes-really is asked for


@contextmanager
def bad_input() -> Iterator[None]:
    """Errors of the library, in the words of the command line."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(
            f"no such file: {error.filename}; give an .npz, .npy or .csv that exists, or --example"
        ) from None
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(in_our_words(str(error))) from None


def in_our_words(message: str) -> str:
    """A message of the library, its options by their names on the command line."""
    for ours, theirs in WORDS:
        message = message.replace(ours, theirs)
    return message


def certification(args: argparse.Namespace) -> CertifyLike:
    """What --no-certify and --max-work ask for."""
    if args.no_certify:
        return False
    return AUTO if args.max_work is None else Certify(max_work=args.max_work)


def workers_of(args: argparse.Namespace, problems: Sequence[Bottleneck]) -> int | None:
    """What --workers says; or a process a core, as far as the memory goes, where proofs are long: in more than a few dimensions."""
    asked: int | None = args.workers
    if asked is not None or args.no_certify:
        return asked
    if max(problem.reduced.dimension for problem in problems) <= Certify().max_dimension:
        return None
    room = LARGEST_SHARE * memory_here() / max(expected_cost(problem).bytes for problem in problems)
    count = min(cores(), int(room))
    return count if count > 1 else None


def memory_here() -> float:
    """Bytes of memory of this machine."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def check_positive(value: float | None, name: str) -> None:
    """Refuse an option that is not positive and finite."""
    if value is not None and not 0.0 < value < np.inf:
        raise UsageError(f"{name} {value:g}: must be positive and finite")


@dataclass(frozen=True)
class Task:
    """A joint, its problems, and what was done to it."""

    name: str
    joint: Joint
    problems: list[Bottleneck]
    smoothing: str
    sampled: Joint
    epsilon: float | None
    pseudocount: float | None

    @classmethod
    def of(cls, args: argparse.Namespace, n_betas: int = 1) -> Task:
        """What the command line names; the time and memory of `n_betas` points are looked at before any work."""
        if (args.joint is None) == (args.example is None):
            raise UsageError("give one joint distribution: a file (.npz or .csv), or --example NAME")
        with bad_input():
            sampled = JOINTS[args.example]() if args.example else _of_file(args)
            joint, note, pseudocount = _smoothed(sampled, args)
            problems = [problem_of(name, joint, args.alpha) for name in dict.fromkeys(args.problem)]
            for problem in problems:
                check_cost(expected_cost(problem, n_betas), args)
            for problem in problems:
                if not np.isfinite(local_critical_beta(problem)):
                    raise UsageError("X and Y are independent: I(X;Y) = 0, there is no curve")
        return cls(args.example or Path(args.joint).stem, joint, problems, note, sampled, args.epsilon, pseudocount)

    def describe(self, units: Units = "bits") -> str:
        """What the numbers are of."""
        information = to_units(self.joint.mutual_information(), units)
        samples = "" if self.joint.n_samples is None else f", {self.joint.n_samples:g} samples"
        merged = self.problems[0].reduced.joint.n_x
        rows = f"{self.joint.n_x} x" + (f" ({merged} distinct)" if merged < self.joint.n_x else "")
        line = f"{self.name}: {rows}, {self.joint.n_y} y{samples}, I(X;Y) = {information:.6g} {units}"
        return line if self.smoothing == "none" else f"{line}\nsmoothing: {self.smoothing}"

    def settings(self, args: argparse.Namespace) -> dict[str, object]:
        """Every setting of a run, for its record; the seeds are those of the defaults, which no option changes."""
        joint = {"shape": self.joint.p_xy.shape, "n_samples": self.joint.n_samples, "smoothing": self.smoothing}
        return vars(args) | joint | {"seed": 0}


def check_figure(path: str | None) -> None:
    """Refuse a figure whose name does not say its format, and any without matplotlib."""
    if path and Path(path).suffix.lower() not in FORMATS:
        raise UsageError(f"--figure {path}: the name must end in one of {', '.join(FORMATS)}")
    if path:
        check_matplotlib()


def report(text: str, args: argparse.Namespace) -> None:
    """Print; where files are to be written, also when the reader of the text went away."""
    with above_the_bar():
        say(text, go_on=bool(getattr(args, "out", None) or getattr(args, "figure", None)))


def problem_of(name: str, joint: Joint, alpha: float) -> Bottleneck:
    """The problem of that name on the command line."""
    if name == "alpha":
        return AlphaIB(joint, alpha)
    return IB(joint) if name == "ib" else DualIB(joint)


def _smoothed(joint: Joint, args: argparse.Namespace) -> tuple[Joint, str, float | None]:
    """The joint with the smoothing asked for, how that is said, and the pseudo-count."""
    pseudocount, why = args.pseudocount, "as asked for"
    if pseudocount is None and args.epsilon is None:
        if not (args.example == "digits" and "dual" in args.problem):
            return joint, "none", None
        pseudocount, why = DIGITS_PSEUDOCOUNT, "default of digits: dual needs p(y|x) > 0"
    joint = joint.smoothed(args.epsilon, pseudocount=pseudocount)
    rule = f"epsilon {args.epsilon:g}" if pseudocount is None else f"pseudocount {pseudocount:g} in each cell"
    return joint, f"{rule}, for all problems ({why})", pseudocount


def _of_file(args: argparse.Namespace) -> Joint:
    """The joint of a file, whose name every complaint has."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            joint = _read_joint(args)
        except ValueError as error:
            if Path(args.joint).name in str(error):
                raise
            raise ValueError(f"{args.joint}: {error}") from None
    for warning in caught:
        print(f"dualib: warning: {in_our_words(str(warning.message))}", file=sys.stderr)
    return joint


def _read_joint(args: argparse.Namespace) -> Joint:
    suffix = Path(args.joint).suffix.lower()
    if suffix not in (".npz", ".npy", ".csv", ".tsv", ".txt"):
        raise UsageError(
            f"{args.joint}: the name must end in .npz, .npy or .csv (.tsv, .txt), so that it is clear how to read it"
        )
    if not Path(args.joint).exists():
        raise UsageError(f"no such file: {args.joint}; give an .npz, .npy or .csv that exists, or --example")
    if suffix in (".npz", ".npy"):
        given = args.x or args.y or args.bins or args.header is not None or args.index is not None
        if given:
            raise UsageError(
                "--x, --y, --bins, --header and --index are for CSV files; an .npz or .npy holds p_xy or counts"
            )
        read = Joint.from_npz if suffix == ".npz" else Joint.from_npy
        return read(args.joint, p_x=_prior(args), normalise=args.normalise, drop_empty=args.drop_empty)
    size = Path(args.joint).stat().st_size
    if size > LARGEST_CSV and not args.yes_really:
        raise UsageError(
            f"{args.joint} has {size / 1e6:.0f} MB of text: reading takes some {size * CSV_SECONDS:.0f} s and up to "
            f"{size * CSV_MEMORY / 2**30:.1f} GiB of memory. Save it as .npz (numpy.savez(file, p_xy=...)), or say --yes-really"
        )
    x, y = (c[0] if c and len(c) == 1 else c for c in (args.x, args.y))
    options = {name: getattr(args, name) for name in ("header", "index", "bins", "normalise", "drop_empty")}
    return Joint.from_csv(args.joint, x, y, p_x=_prior(args), **options)


def _prior(args: argparse.Namespace) -> FloatArray | None:
    """The p(x) of --p-x, None where it is not given."""
    if args.p_x is None:
        return None
    if args.x or args.y:
        raise UsageError("--p-x is for a matrix p(y|x), not for a table of samples (--x and --y)")
    if args.p_x != "uniform":
        return read_vector(args.p_x)
    if Path(args.joint).suffix.lower() == ".npz":
        n = len(read_npz(args.joint).get("p_y_given_x", ()))
    elif Path(args.joint).suffix.lower() == ".npy":
        n = len(np.atleast_1d(read_npy(args.joint)))
    else:
        n = len(read_matrix(args.joint, args.header, args.index)[0])
    return np.full(n, 1.0 / max(n, 1))


def check_cost(cost: Cost, args: argparse.Namespace) -> None:
    """Refuse what takes more than an hour or half of the memory, unless that is really wanted."""
    memory = memory_here()
    if args.yes_really or (cost.seconds <= LONGEST and cost.bytes <= LARGEST_SHARE * memory):
        return
    raise UsageError(
        f"{cost.describe()}, of the {memory / 2**30:.2g} GiB here. Merge x that mean the same, take fewer β (--betas LO HI N), "
        "or say --yes-really"
    )
