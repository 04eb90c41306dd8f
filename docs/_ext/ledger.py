"""Numbers of the committed ledger for the pages of questions: ``papers/<paper>/measured.json``, every seed of it."""

from dualib.core.estimate import Estimate
from papers.pages.verdicts import read_published
from papers.runs.paper import load_papers


def measured(paper: str, measure: str) -> list[Estimate]:
    """The measurement of every seed that was published, each with its interval."""
    (found,) = load_papers([paper])
    return [seed.estimates[measure] for seed in read_published(found)[1]]


def show(paper: str, measure: str, what: str) -> None:
    """Print it, a line a seed."""
    for number, estimate in enumerate(measured(paper, measure)):
        print(
            f"{what}, seed {number}: {estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}] {estimate.unit.suffix}, n = {estimate.n}"
        )
