"""What the papers' programs import: the packages, and no estimator, solver or trainer from elsewhere."""

import sys

import pytest

from papers.runs.paper import paper_names
from papers.runs.sources import HERE, PACKAGES, imported_modules, packages_digest, program_files

# scipy, scikit-learn, jax or optax in a paper's folder would be an estimator, a solver or a trainer of its own.
ALLOWED = {*PACKAGES, "papers", "numpy", "matplotlib", *sys.stdlib_module_names}


@pytest.mark.parametrize("program", ["run", "measure", "figures"])
@pytest.mark.parametrize("name", paper_names())
def test_a_paper_uses_the_packages_only(name, program):
    modules = imported_modules(HERE / name / f"{program}.py")
    assert not {module for module in modules if module.split(".")[0] not in ALLOWED}
    assert not {module for module in modules if any(part.startswith("_") for part in module.split(".")[1:])}


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import numpy as np, os.path", {"numpy", "os.path"}),
        ("def f():\n    from scipy.optimize import minimize", {"scipy.optimize"}),
        ("from papers.experiments import curves", {"papers.experiments", "papers.experiments.curves"}),
        ("if 0:\n    import dualib.curve", {"dualib.curve"}),
    ],
)
def test_imports_are_found_wherever_they_stand(tmp_path, text, modules):
    path = tmp_path / "run.py"
    path.write_text(text)
    assert imported_modules(path) == modules


def test_the_program_is_run_py_and_its_helpers(tmp_path):
    path = tmp_path / "run.py"
    path.write_text(
        "from papers.experiments.readings import pick\nfrom papers.experiments import planes\nimport dualib\n"
    )
    # planes imports program
    assert program_files(path) == [
        path,
        *(HERE / "experiments" / f"{name}.py" for name in ("planes", "program", "readings")),
    ]


def test_the_hash_covers_the_packages_below_and_none_above(tmp_path):
    def digest(text):
        path = tmp_path / "run.py"
        path.write_text(text)
        return packages_digest(path)

    empty, one, two = digest("import numpy"), digest("import dualib"), digest("import ntkinfo")
    assert len({empty, one, two}) == 3
    assert digest("import dualib, numpy\nfrom dualib.solution import solve") == one
    assert digest("import ntkinfo, dualib") == two
    assert digest("from papers.experiments.planes import train") == digest("import deepnets")


ROOMS = {  # which rooms a room may import beside itself
    "experiments": set(),
    "ledger": set(),
    "runs": {"experiments", "ledger"},
    "pages": {"ledger", "runs"},
}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_one_way(room):
    modules = {name for path in (HERE / room).glob("*.py") for name in imported_modules(path)}
    assert {name.split(".")[1] for name in modules if name.startswith("papers.")} <= ROOMS[room] | {room}
    if room != "experiments":
        assert not {name for name in modules if name.split(".")[0] in ("ntkinfo", "deepnets")}
