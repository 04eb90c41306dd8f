"""The numbers that claims.toml judges, over replicas.

A name ending in _100_bins or _noise is the same by another estimate, in _sgd by plain descent, in _rules on random icosahedral
rules, in _seven of the network with seven hidden layers.
"""

from __future__ import annotations

from dualib.core.estimate import Estimate
from papers.experiments.program import Results
from papers.shwartz_ziv_tishby_2017.measures.batches import critical_batch, transition_against_null
from papers.shwartz_ziv_tishby_2017.measures.bottleneck import bottleneck
from papers.shwartz_ziv_tishby_2017.measures.bound import compression_bound
from papers.shwartz_ziv_tishby_2017.measures.gradients import gradients
from papers.shwartz_ziv_tishby_2017.measures.planes import finer_bins, plane, random_rules
from papers.shwartz_ziv_tishby_2017.measures.representations import representations
from papers.shwartz_ziv_tishby_2017.measures.sides import depth, dropout, sample_size, width
from papers.shwartz_ziv_tishby_2017.measures.weights import alignment, weight_path

ESTIMATES = {"": "", "_noise": "second_"}  # suffix of a measure: prefix of the arrays


def measure(results: Results) -> dict[str, Estimate]:
    """What claims.toml judges."""
    main, sgd = results["main"], results["sgd"]
    found: dict[str, Estimate] = {}
    for suffix, prefix in ESTIMATES.items():
        parts = (
            plane(main, prefix)
            | named(plane(sgd, prefix), "_sgd")
            | depth(results["depth"], prefix)
            | width(results["width"], main, prefix)
            | sample_size(results["fractions"], prefix)
            | compression_bound(results["fractions"], prefix)
            | dropout(results["noise"], prefix)
        )
        found |= named(parts, suffix)
    return (
        found
        | finer_bins(main)
        | named(plane(results["reading"], ""), "_seven")
        | named(depth(results["depth"], "", "sgd_"), "_sgd")
        | random_rules(results["rules"])
        | gradients(main)
        | named(gradients(sgd), "_sgd")
        | weight_path(main)
        | named(weight_path(sgd), "_sgd")
        | alignment(main)
        | bottleneck(results["bottleneck"])
        | representations(main)
        | transition_against_null(results["batches"])
        | critical_batch(results["race"])
    )


def named(found: dict[str, Estimate], suffix: str) -> dict[str, Estimate]:
    """The same estimates under longer names."""
    return {name + suffix: estimate for name, estimate in found.items()}
