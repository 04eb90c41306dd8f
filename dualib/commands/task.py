"""What every command works on: the joint and the problems that the command line names, read and checked."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualib import examples
from dualib.bottleneck import Bottleneck
from dualib.commands.parser import UsageError
from dualib.core.command import say
from dualib.core.progress import above_the_bar
from dualib.core.units import Units, to_units
from dualib.curves.transitions import local_critical_beta
from dualib.joint import Joint
from dualib.problems import IB, AlphaIB, DualIB

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
)


@contextmanager
def bad_input() -> Iterator[None]:
    """Errors of the library, in the words of the command line."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"no such file: {error.filename}; give an .npz or .csv that exists, or --example") from None
    except (ValueError, TypeError, OSError) as error:
        message = str(error)
        for ours, theirs in WORDS:
            message = message.replace(ours, theirs)
        raise UsageError(message) from None


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

    @classmethod
    def of(cls, args: argparse.Namespace) -> Task:
        """What the command line names."""
        if (args.joint is None) == (args.example is None):
            raise UsageError("give one joint distribution: a file (.npz or .csv), or --example NAME")
        with bad_input():
            joint, note = _smoothed(JOINTS[args.example]() if args.example else _read_joint(args), args)
            problems = [_problem(name, joint, args.alpha) for name in dict.fromkeys(args.problem)]
            for problem in problems:
                if not np.isfinite(local_critical_beta(problem)):
                    raise UsageError("X and Y are independent: I(X;Y) = 0, there is no curve")
        return cls(args.example or Path(args.joint).stem, joint, problems, note)

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


def report(text: str, args: argparse.Namespace) -> None:
    """Print; where files are to be written, also when the reader of the text went away."""
    with above_the_bar():
        say(text, go_on=bool(getattr(args, "out", None) or getattr(args, "figure", None)))


def _problem(name: str, joint: Joint, alpha: float) -> Bottleneck:
    if name == "alpha":
        return AlphaIB(joint, alpha)
    return IB(joint) if name == "ib" else DualIB(joint)


def _smoothed(joint: Joint, args: argparse.Namespace) -> tuple[Joint, str]:
    """The joint with the smoothing asked for, and how that is said."""
    pseudocount, why = args.pseudocount, "as asked for"
    if pseudocount is None and args.epsilon is None:
        if not (args.example == "digits" and "dual" in args.problem):
            return joint, "none"
        pseudocount, why = DIGITS_PSEUDOCOUNT, "default of digits: dual needs p(y|x) > 0"
    joint = joint.smoothed(args.epsilon, pseudocount=pseudocount)
    rule = f"epsilon {args.epsilon:g}" if pseudocount is None else f"pseudocount {pseudocount:g} in each cell"
    return joint, f"{rule}, for all problems ({why})"


def _read_joint(args: argparse.Namespace) -> Joint:
    suffix = Path(args.joint).suffix.lower()
    if suffix not in (".npz", ".csv", ".tsv", ".txt"):
        raise UsageError(f"{args.joint}: the name must end in .npz or .csv, so that it is clear how to read it")
    if not Path(args.joint).exists():
        raise UsageError(f"no such file: {args.joint}; give an .npz or .csv that exists, or --example")
    if suffix == ".npz":
        if args.x or args.y or args.header is not None or args.index is not None:
            raise UsageError("--x, --y, --header and --index are for CSV files; an .npz holds p_xy or counts")
        return Joint.from_npz(args.joint)
    x, y = (c[0] if c and len(c) == 1 else c for c in (args.x, args.y))
    return Joint.from_csv(args.joint, x, y, header=args.header, index=args.index)
