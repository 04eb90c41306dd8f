"""The pages of docs/: their Python blocks run as they stand, their commands are known, and every public name is in the reference.

Pages with tests of their own (networks, recordings, relaxation, finite_width) are left to these.
"""

import argparse
import importlib
import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
TESTED_ELSEWHERE = {"networks.md", "recordings.md", "relaxation.md", "finite_width.md"}
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name not in TESTED_ELSEWHERE)
BLOCKS = [
    (p, i, b)
    for p in PAGES
    for i, b in enumerate(re.findall(r"```python\n(.*?)```", p.read_text(encoding="utf-8"), re.DOTALL))
]
SHORTER = (  # what makes the variational page's block take seconds instead of minutes
    *(("steps=3000", "steps=30"), ("seeds=8", "seeds=2"), ("betas=betas)", "betas=betas, steps=100, seeds=2)")),
    *(("[3, 5, 8, 12, 20, 30, 50, 100]", "[3, 100]"), ("(found, 3.25)", "(found, 1.5, widest=100)")),
)
ROOMS = {
    "dualib": ("", "measures", "statistics", "sampling", "solvers", "gaussian", "exponential", "examples", "plotting"),
    "ntkinfo": ("", "activations", "adapters", "bounds", "datasets", "finite_width", "kernels", "learning", "plotting", "quantities", "symbolic"),
    "deepnets": ("", "estimators", "planes", "plotting", "recordings", "relaxation", "tasks", "training", "variational", "widths"),
}  # fmt: skip


NETWORKS, RELAXED = "docs/networks.md", "tests/deepnets/relaxation/test_relax.py"
RECORDINGS, FRAMEWORKS = "docs/recordings.md", "tests/deepnets/recordings/test_frameworks.py"
VARIATIONAL, GAUSSIAN = "tests/deepnets/test_variational_gap.py", "tests/deepnets/test_variational_gaussian.py"
SHOWN = {  # what trains, compiles, or needs a library that is not there: its example is shown, and run in that file
    **{"dualib.examples.mnist_images": "deepnets/tasks/digits.py", "deepnets.tasks.mnist_task": "tests/deepnets/test_tasks.py"},
    **{f"ntkinfo.adapters.{n}": NETWORKS for n in ("flax", "FlaxModule", "equinox", "torch")},
    **{"ntkinfo.kernels.empirical": NETWORKS, "ntkinfo.activations.register": "CONTRIBUTING.md"},
    **{f"ntkinfo.symbolic.{n}": "tests/ntkinfo/test_symbolic.py" for n in ("one_mode", "two_modes", "Modes", "sympy_module")},
    **{"deepnets.train": "README.md", "deepnets.Run": "README.md"},
    **{"deepnets.training.batches_of_epoch": "tests/deepnets/training/test_train.py"},
    **{"deepnets.recordings.RepeatedPasses": "deepnets/planes/source.py"},
    **{f"deepnets.recordings.follow_{n}": FRAMEWORKS for n in ("torch", "flax", "equinox")},
    **{"deepnets.recordings.keras_callback": FRAMEWORKS, "deepnets.plotting.write_movie": RECORDINGS},
    **{f"deepnets.planes.{n}": RECORDINGS for n in ("layers_against_bottleneck", "LayersReport")},
    **{"deepnets.compare_with_infinite_width": "docs/tutorials/08_finite_agree.py"},
    **{"deepnets.widths.gradient_flow": "tests/deepnets/widths/test_flow.py"},
    **{f"deepnets.{n}": RELAXED for n in ("relax", "Relaxation", "compare_relaxations", "relaxation.RelaxationComparison")},
    **{f"deepnets.relaxation.{n}": RELAXED for n in ("sgd_temperature", "largest_curvature")},
    **{"deepnets.relaxation.diffusion_start": "tests/papers/test_relaxation_claim.py"},
    **{f"deepnets.variational.{n}": VARIATIONAL for n in ("fit_variational", "VariationalFit", "Gap")},
    **{f"deepnets.variational.{n}": "tests/deepnets/test_variational_fit.py" for n in ("at_equal_rate", "Evaluation")},
    **{f"deepnets.variational.{n}": GAUSSIAN for n in ("fit_gaussian", "GaussianFit")},
    **{f"deepnets.plotting.plot_{n}": "tests/test_figures.py" for n in ("twins", "relaxations", "finite_plane")},
}  # fmt: skip


def cases():
    for path, i, block in BLOCKS:
        slow = path.name == "variational.md"
        for long, short in SHORTER if slow else ():
            assert long in block
            block = block.replace(long, short)
        yield pytest.param(path, i, block, id=f"{path.stem}-{i}", marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(("path", "number", "block"), list(cases()))
def test_python_blocks_run(path, number, block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    exec(compile(block, f"{path.name} block {number}", "exec"), {"__name__": f"{path.stem}_{number}"})
    assert capsys.readouterr().out.strip()


def commands() -> list[str]:
    """Lines of shell blocks, and spans of text, that call one of the three programs with an option."""
    texts = [path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")]
    texts += [path.read_text(encoding="utf-8") for path in (DOCS / "tutorials").glob("*.py")]
    lines = [
        line.removeprefix("uv run ")
        for t in texts
        for block in re.findall(r"```bash\n(.*?)```", t, re.DOTALL)
        for line in block.splitlines()
    ]
    spans = [
        span for t in texts for span in re.findall(r"(?<!`)`{1,2}(?:uv run )?((?:dualib|ntkinfo|deepnets) [^`\n]+)`", t)
    ]
    found = [c for c in (*lines, *spans) if re.match(r"(dualib|ntkinfo|deepnets) ", c) and " --" in c and "…" not in c]
    return sorted(set(found))


@pytest.mark.parametrize("command", commands())
def test_commands_are_known_to_their_parsers(command):
    program, *words = shlex.split(command, comments=True)
    if program == "deepnets":
        parser, name, words = argparse.ArgumentParser(), words[0], words[1:]
        import_module(f"deepnets.commands.{name}").add_arguments(parser)
    else:
        parser = import_module({"dualib": "dualib.commands.parser", "ntkinfo": "ntkinfo.commands"}[program]).parser()
    parser.parse_args(words)  # an unknown option would exit


def listed(package: str) -> list[str]:
    """The names of the package's page of the reference."""
    text = (DOCS / "api" / f"{package}.md").read_text(encoding="utf-8")
    return re.findall(r"^   ([A-Za-z][\w.]*)$", text, re.MULTILINE)


@pytest.mark.parametrize("package", ROOMS)
def test_every_public_name_is_in_the_reference_once_with_a_summary(package):
    shown: dict[int, str] = {}
    for name in listed(package):
        value = value_of(package, name)
        assert id(value) not in shown, f"{name} is {shown.get(id(value))}"
        shown[id(value)] = name
        assert (inspect.getdoc(value) or "").strip(), name
    for room in ROOMS[package]:
        module = importlib.import_module(f"{package}.{room}" if room else package)
        names = getattr(module, "__all__", None) or [
            n
            for n, v in vars(module).items()
            if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
        ]
        missing = [n for n in names if not inspect.ismodule(getattr(module, n)) and id(getattr(module, n)) not in shown]
        of_dualib = {id(getattr(importlib.import_module("dualib"), n)) for n in ("Estimate",)}
        missing = [n for n in missing if id(getattr(module, n)) not in of_dualib and n not in ("Kind", "bounded")]
        assert not missing, f"{module.__name__}: {missing}"


def value_of(package: str, name: str) -> object:
    """The public object of that name."""
    value = importlib.import_module(package)
    for part in name.split("."):
        value = getattr(value, part, None) or importlib.import_module(f"{value.__name__}.{part}")
    return value


@pytest.mark.parametrize("package", ROOMS)
def test_every_public_name_has_an_example_that_runs(package):
    """In its docstring, where --doctest-modules runs it; the names of SHOWN elsewhere, and no others."""
    lines = {n: re.findall(r">>> .*", value_of(package, n).__doc__ or "") for n in listed(package)}
    assert not [name for name, examples in lines.items() if not examples]
    skipped = {f"{package}.{n}" for n, examples in lines.items() if any("+SKIP" in line for line in examples)}
    assert skipped == {name for name in SHOWN if name.startswith(f"{package}.")}
    for name in skipped:
        called = re.findall(r"(\w+)\(", "".join(lines[name.removeprefix(f"{package}.")]))
        text = (DOCS.parent / SHOWN[name]).read_text(encoding="utf-8")
        assert any(re.search(rf"\b{n}\b", text) for n in (*called, name.split(".")[-1])), (
            f"{name} is not run in {SHOWN[name]}"
        )


def test_titles_of_the_reference_are_questions_or_topics():
    for package in ROOMS:
        text = (DOCS / "api" / f"{package}.md").read_text(encoding="utf-8")
        assert len(re.findall(r"^## ", text, re.MULTILINE)) >= 8


def test_the_version_stands_in_pyproject_and_is_cited():
    root = DOCS.parent
    version = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert re.search(
        rf"^version: {re.escape(version)}$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"## {version}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not [
        p
        for package in ROOMS
        for p in (root / package).rglob("*.py")
        if f'"{version}"' in p.read_text(encoding="utf-8")
    ]
