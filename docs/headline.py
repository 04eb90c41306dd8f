"""Draws docs/headline.png: the IB and dualIB curves of the toy joint of Piran et al. (2020), and the dual's bifurcations."""

from pathlib import Path

from matplotlib.figure import Figure

import dualib


def main() -> None:
    """Solve, prove and draw."""
    joint = dualib.examples.toy()
    ib, dual = dualib.information_curve(dualib.IB(joint)), dualib.information_curve(dualib.DualIB(joint))
    figure = Figure(figsize=(7.4, 3.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    dualib.plot_information_plane([ib, dual], ax=left, units="bits")
    dualib.plot_bifurcation(dual, ax=right)
    figure.savefig(Path(__file__).with_name("headline.png"), dpi=130)


if __name__ == "__main__":
    main()
