"""One thread of BLAS a test process: the suite runs one process a core, and its matrices are small. And what examples in docstrings have."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  (SciPy brings a BLAS of its own)
from threadpoolctl import threadpool_limits

threadpool_limits(1, user_api="blas")
os.environ["COLUMNS"] = "120"  # tables follow the terminal, tests do not


@pytest.fixture(scope="session")
def example_names() -> Iterator[dict[str, object]]:
    """A small recorded training, and its plane."""
    import deepnets

    t = np.array([[0.1], [0.2], [-0.1], [0.3]])
    with TemporaryDirectory() as folder:
        recorder = deepnets.Recorder(Path(folder) / "run", labels=[0, 1, 0, 1])
        for epoch in (1, 10):
            hidden = np.tanh(epoch * t)
            recorder.add(epoch, {"hidden": hidden, "output": np.hstack([1 - hidden, 1 + hidden]) / 2})
        recorded = recorder.recorded()
        plane = deepnets.information_plane(recorded, deepnets.Binning(4), progress=False)
        yield {"recorded": recorded, "plane": plane}


@pytest.fixture(autouse=True)
def names_of_examples(request: pytest.FixtureRequest) -> None:
    """`recorded` and `plane`, which examples of deepnets use without making them."""
    if isinstance(request.node, pytest.DoctestItem) and request.node.name.startswith("deepnets."):
        request.getfixturevalue("doctest_namespace").update(request.getfixturevalue("example_names"))
