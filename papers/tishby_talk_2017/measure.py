"""The numbers that claims.toml judges, over replicas.

A name ending in _noise is the same by another estimate, in _rules on random icosahedral rules, in _smooth by a softer rule's curve,
in _wide at four times the width.
"""

from __future__ import annotations

from dualib.core.estimate import Estimate
from papers.experiments.program import Results
from papers.tishby_talk_2017.measures.depths import (
    onset_order,
    phases_at_every_depth,
    phases_of_rules,
    same_layer,
)
from papers.tishby_talk_2017.measures.noise import noise
from papers.tishby_talk_2017.measures.training import batch_size, computed_weights, second_order
from papers.tishby_talk_2017.measures.transitions import iteration, near_transitions

PAPER, DEEPEST = "5_", "6_"  # hidden layers of the paper's network, and of the deepest


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    d, r = results["depths"], results["rules"]
    orders = {
        "": onset_order(d[PAPER + "epochs"], d[PAPER + "input"]),
        "_six": onset_order(d[DEEPEST + "epochs"], d[DEEPEST + "input"]),
        "_rules": onset_order(r["epochs"], r["input"]),
    }
    return (
        {name + suffix: estimate for suffix, found in orders.items() for name, estimate in found.items()}
        | same_layer(d)
        | phases_at_every_depth(d)
        | phases_of_rules(r)
        | near_transitions(results["transitions"])
        | computed_weights(results["kernel"])
        | second_order(results["second_order"])
        | batch_size(results["batches"])
        | noise(results["noise"])
        | iteration(results["gibbs"])
    )
