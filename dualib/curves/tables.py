"""Clusters and encoders as tables, under the user's own labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dualib.core.typing import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SHOWN_SHARE = 1e-6  # p(t|x) below it has no row


def clusters_frame(
    beta: FloatArray, weights: Sequence[FloatArray], decoders: Sequence[FloatArray], symbols: Sequence[str]
) -> pd.DataFrame:
    """One row a cluster at each β: p(t), and the decoder under the symbols' names, ``p(y = sun | t)``."""
    import pandas as pd

    rows, counts = np.concatenate(decoders), [len(w) for w in weights]
    decoder = {f"p(y = {name} | t)": rows[:, i] for i, name in enumerate(symbols)}
    number = np.concatenate([np.arange(n) for n in counts])
    return pd.DataFrame({"beta": np.repeat(beta, counts), "t": number, "p(t)": np.concatenate(weights), **decoder})


def encoders_frame(
    beta: Sequence[float] | FloatArray, encoders: Sequence[FloatArray], x_labels: Sequence[str]
) -> pd.DataFrame:
    """One row for each β, x and cluster t with p(t|x) of at least 1e-6; x by its label, or its index where there is none."""
    import pandas as pd

    found = [np.nonzero(encoder >= SHOWN_SHARE) for encoder in encoders]
    x = np.concatenate([x for x, _ in found])
    return pd.DataFrame(
        {
            "beta": np.repeat(np.asarray(beta), [len(x) for x, _ in found]),
            "x": np.asarray(x_labels, dtype=object)[x] if x_labels else x,
            "t": np.concatenate([t for _, t in found]),
            "p(t|x)": np.concatenate([encoder[place] for encoder, place in zip(encoders, found, strict=True)]),
        }
    )
