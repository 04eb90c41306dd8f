"""The parser of the command line. It loads neither numpy nor scipy, so that help and complaints come at once."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from dualib.core.command import add_units, add_workers, count
from dualib.curves.limits import CURVE_WORK, MAX_POINTS, MAX_TRANSITIONS

DESCRIPTION = """\
Bottleneck curves of a finite joint distribution p(x,y), each point with a proven interval for

    F(β) = min over q(t|x), r_t of  I(X;T) + β E d(x, r_T)

    ib     d(x,r) = D(p(y|x) || r)     information bottleneck: F = I(X;T) − β I(T;Y) + β I(X;Y)
    dual   d(x,r) = D(r || p(y|x))     dual information bottleneck; needs every p(y|x) > 0
    alpha  d(x,r) = [1 − Σ_y p(y|x)^α r^(1−α)] / (α(1−α))     between dual (α → 0) and ib (α → 1)

β, the price of a nat of distortion in nats of rate, has no unit. Informations are shown in --units."""
EXAMPLES = {
    "digits": "1797 images of digits in 256 k-means codes x, against their 10 classes y",
    "toy": "five x and y = ±1 with p(y|x) ∝ exp(−yx), from the dualIB paper",
    "icosahedron": "4096 patterns on an icosahedron and a symmetric, slightly noisy label",
    "hamming": "symmetric channel on 4 symbols, error 0.3: first-order transitions",
}
COMMANDS = {
    "curve": "rate, relevance and F with its proven interval over β; tables, files, figures",
    "solve": "one point, at a β or of a given rate or relevance, with its encoder p(t|x)",
    "transitions": "the β at which clusters split, or are born at a distance",
    "verify": "certify or refute points computed elsewhere",
    "plane": "curves that were kept (ib.npz, dual.npz, hard.npz), of any joints, in one information plane",
}
BETAS = (
    "N geometric values; auto: 50 from 0.8 of the first transition to 20 times the local critical β, and further ones "
    "until neighbours differ by at most 3%% of the largest rate"
)
FIGURE = "draw the information plane into FILE; .png, .pdf or .svg says which format"
POINTS = "beta (k,), and p_t_given_x (k, n_x, n_t), or for ib rate = I(X;T) and relevance = I(T;Y) (k,)"


class UsageError(ValueError):
    """Input that cannot be used; the message names the entry and the remedy."""


class Parser(argparse.ArgumentParser):
    """argparse with its errors in one line, through :class:`UsageError`."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{message} (see: {self.prog} --help)")


def parser() -> Parser:
    """The parser of all commands; ``args.name`` is the command."""
    formatter = argparse.RawDescriptionHelpFormatter
    top = Parser("dualib", description=DESCRIPTION, formatter_class=formatter)
    top.add_argument("--version", action="version", version=f"dualib {_version()}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser, dest="name")
    known = "\n".join(f"    {name:12} {text}" for name, text in EXAMPLES.items())
    for name, text in COMMANDS.items():
        if name == "plane":
            _plane_options(commands.add_parser(name, help=text, description=text))
            continue
        description = f"{text}.\n\nexamples of joints:\n{known}"
        sub = commands.add_parser(name, help=text, description=description, formatter_class=formatter)
        _joint_options(sub)
        add_units(sub)
        if name == "curve":
            _curve_options(sub)
        elif name == "solve":
            _solve_options(sub)
        elif name == "transitions":
            sub.add_argument("--beta-max", type=float, help="default: 20 times the local critical β")
        if name in ("curve", "transitions"):
            text = f"locate so many, by ascending β, and only bracket the others (default: {MAX_TRANSITIONS})"
            sub.add_argument("--max-transitions", type=int, default=MAX_TRANSITIONS, metavar="N", help=text)
        if name == "verify":
            sub.add_argument("--points", required=True, metavar="FILE.npz", help=POINTS)
            sub.add_argument(
                "--points-units", choices=("nats", "bits"), default="nats", help="of rate and relevance in FILE"
            )
        else:
            text = "where to save results (made if missing); the same command goes on there"
            sub.add_argument("--out", metavar="DIR", help=text)
    return top


def _plane_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("results", nargs="+", metavar="FILE.npz", help="what dualib curve kept")
    sub.add_argument("--figure", required=True, metavar="FILE", help=FIGURE)
    sub.add_argument("--labels", nargs="+", metavar="NAME", help="a name for each line, in the order of the files")
    add_units(sub)


def _version() -> str:
    try:
        return version("ntk-dualib")
    except PackageNotFoundError:
        return "(not installed)"


def _solve_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--beta", type=float, metavar="B", help="the trade-off")
    for name, what in (("rate", "I(X;T)"), ("relevance", "I(T;Y)")):
        text = f"the point with this {what}, in --units; the interval of its β is stated, and whether the curve jumps there"
        sub.add_argument(f"--{name}", type=float, metavar="R", help=text)
    sub.add_argument("--no-certify", action="store_true", help="skip the proofs")
    text = "entries of tables (n_x, n_y) computed for the proof of a point (default: that of Certify)"
    sub.add_argument("--max-work", type=count, metavar="N", help=text)


def _curve_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--betas", nargs="+", default=["auto"], metavar="LO HI N | auto", help=BETAS)
    sub.add_argument("--tolerance", type=float, metavar="NATS", help="add points until F is this sharp at every β")
    text = f"no β is added beyond N points (default: {MAX_POINTS})"
    sub.add_argument("--max-points", type=int, default=MAX_POINTS, metavar="N", help=text)
    sub.add_argument("--no-certify", action="store_true", help="skip the proofs: every point is estimated")
    text = f"entries of tables (n_x, n_y) computed for the proofs of a whole curve (default: {CURVE_WORK}, up to a minute of processor time)"
    sub.add_argument("--max-work", type=count, metavar="N", help=text)
    add_workers(sub, "prove points and solve resamples", "where proofs are long, a process a core")
    sub.add_argument("--no-transitions", action="store_true", help="do not look for transitions")
    text = "hard clusterings beside the curve, each with its distance to the proven curve of ib"
    sub.add_argument("--hard", action="store_true", help=text)
    text = "the joint is a sample: bias correction and bands by the bootstrap, and the β that held-out samples support"
    sub.add_argument("--samples", action="store_true", help=text)
    text = "of the bootstrap, with --samples (default: %(default)s)"
    sub.add_argument("--resamples", type=int, default=100, metavar="N", help=text)
    sub.add_argument("--figure", metavar="FILE", help=FIGURE)


def _joint_options(sub: argparse.ArgumentParser) -> None:
    text = ".npz with p_xy, or counts; .npy or .csv matrix; .csv of samples (--x, --y)"
    sub.add_argument("joint", nargs="?", metavar="JOINT", help=text)
    sub.add_argument("--example", choices=EXAMPLES, help="a joint that comes with the package")
    sub.add_argument("--problem", nargs="+", choices=("ib", "dual", "alpha"), default=["ib"], help="default: ib")
    sub.add_argument("--alpha", type=float, default=0.5, help="α of the problem alpha, in (0, 1)")
    sub.add_argument("--x", nargs="+", metavar="COL", help="column(s) of the CSV that make x, one sample a line")
    sub.add_argument("--y", nargs="+", metavar="COL", help="column(s) of the CSV that make y")
    for name, line in (("--header", "row"), ("--index", "column")):
        text = f"the first {line} of a CSV matrix holds labels, or data; needed where they are numbers"
        sub.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
    sub.add_argument("--bins", type=int, metavar="N", help="put numeric columns of samples into N bins of equal counts")
    text = "JOINT holds p(y|x), a row for each x, and FILE p(x): a CSV row or column; or uniform"
    sub.add_argument("--p-x", metavar="FILE | uniform", help=text)
    sub.add_argument("--normalise", action="store_true", help="divide probabilities that do not sum to 1 by their sum")
    sub.add_argument("--drop-empty", action="store_true", help="leave out the x and y of a matrix that never occur")
    sub.add_argument("--yes-really", action="store_true", help="begin although it will take long, or much memory")
    text = "smoothing of a sampled joint: A more counts a cell"
    sub.add_argument("--pseudocount", type=float, metavar="A", help=text)
    sub.add_argument("--epsilon", type=float, metavar="E", help="smoothing: p(y|x) ← (1−E) p(y|x) + E/|Y|")
