"""A paper of three claims: what stands in its files."""

RUN = """
import os
import numpy as np
from papers.experiments import program

class Settings(program.Settings, frozen=True):
    n: int

def _log(name):
    with open(os.path.join(os.path.dirname(__file__), "calls.txt"), "a") as file:
        file.write(name + "\\n")

def squares(settings, seed, work):
    _log("squares")
    return {"x": np.arange(settings.n) ** 2.0, "last": float((settings.n - 1) ** 2)}

def noise(settings, seed, work):
    _log("noise")
    if os.path.exists(os.path.join(os.path.dirname(__file__), "interrupt")):
        raise KeyboardInterrupt
    return {"draw": np.random.default_rng(seed).normal(size=settings.n)}

EXPERIMENTS = {"squares": squares, "noise": noise}
"""
MEASURE = """
import numpy as np
from dualib.core.estimate import Estimate, Kind
from dualib.core.units import Unit

def measure(results):
    total, draw = float(results["squares"]["x"].sum()), results["noise"]["draw"]
    return {
        "total": Estimate.exact(total, Unit.NATS),
        "first": Estimate(draw[0], draw[0] - 1e-3, draw[0] + 1e-3, Kind.STATISTICAL, Unit.ONE, n=2),
        "open": Estimate(0.0, -np.inf, 1.0, Kind.STATISTICAL, Unit.ONE, n=3),
    }
"""
FIGURES = """
def figures(results):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot(results["squares"]["x"])
    return {"squares": figure}
"""
SETTINGS = "[quick]\nn = 3\n[full]\nn = 4\n"
CLAIMS = """
[[claim]]
number = 2
statement = "The sum of squares is large"
where = "Nobody 2000, Fig. 1"
conditions = [{measure = "total", op = ">", value = 4.0, unit = "nats", role = "core"}]
[[claim]]
number = 1
statement = "The first draw is positive"
where = "Nobody 2000, Fig. 2"
conditions = [{measure = "first", op = ">", value = 0.0, unit = "1", role = "core"}]
[[claim]]
number = 3
statement = "All is | well"
where = "Nobody 2000"
unmeasured = "nobody knows how"
[[check]]
measure = "total"
value = 5.0
tolerance = 1e-9
unit = "nats"
source = "0 + 1 + 4"
mode = "quick"
[[check]]
measure = "total"
value = 14.0
tolerance = 1e-9
unit = "nats"
source = "0 + 1 + 4 + 9"
mode = "full"
"""


def calls(paper):
    """Which experiments ran, in their order."""
    return (paper / "calls.txt").read_text().split()
