"""The house's conventions, read off the code: signatures, faces, annotations."""

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dualib.core.result import Brief

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dualib", "ntkinfo", "deepnets")
ALL = (*PACKAGES, "papers")
LARGEST_FACE = 30
ANY_PER_THOUSAND_LINES = 5.0
ONCE = (
    *("FloatArray", "IntArray", "BoolArray", "NATS_PER_BIT", "to_units", "COLOURS", "MARKERS", "axes_or_new"),
    *("EPS", "log1p_gap", "finite_array", "read_only", "positive", "whole", "Result", "Units"),
)
"""What every package uses, and each may define once, in dualib.core."""


@functools.cache
def sources(package: str) -> dict[Path, str]:
    return {path: path.read_text() for path in sorted((ROOT / package).rglob("*.py"))}


def public_functions(package: str) -> list[tuple[Path, ast.FunctionDef]]:
    """Functions and methods whose names do not begin with an underscore, nested ones left out."""
    found = []
    for path, text in sources(package).items():
        tree = ast.parse(text)
        nodes = [*tree.body, *(n for c in tree.body if isinstance(c, ast.ClassDef) for n in c.body)]
        found += [(path, n) for n in nodes if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    return found


def defaults(function: ast.FunctionDef) -> dict[str, str]:
    """Source of the default of every parameter that has one."""
    a = function.args
    pairs = list(zip((a.posonlyargs + a.args)[::-1], a.defaults[::-1], strict=False))
    pairs += [(arg, d) for arg, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None]
    return {arg.arg: ast.unparse(default) for arg, default in pairs}


@pytest.mark.parametrize("package", ALL)
def test_options_mean_the_same_everywhere(package):
    one = {"units": "'bits'", "progress": "None", "seed": "0", "ax": "None", "executor": "None"}
    for path, function in public_functions(package):
        for name, default in defaults(function).items():
            if name in one:
                assert default == one[name], f"{path}: {function.name}({name}={default})"
        names = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
        assert "executor" not in names[:-1], f"{path}: {function.name}: executor comes last"


@functools.cache
def definitions(text: str) -> set[str]:
    """The names that a module defines at its top: not those that it imports."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("name", ONCE)
def test_what_all_share_is_defined_once(name):
    homes = [str(p.relative_to(ROOT)) for package in ALL for p, t in sources(package).items() if name in definitions(t)]
    private = [str(p) for package in ALL for p, t in sources(package).items() if f"_{name}" in definitions(t)]
    assert len(homes) == 1, homes
    assert homes[0].startswith("dualib/core/")
    assert not private


def test_the_digits_are_read_in_one_place():
    homes = [str(p.relative_to(ROOT)) for package in ALL for p, t in sources(package).items() if "load_digits" in t]
    assert homes == ["dualib/examples/images.py"]


def test_second_definitions_would_be_seen():
    text = "from a import to_units\nFloatArray = int\nCOLOURS: tuple = ()\nx, MARKERS = 1, 2\ndef log1p_gap(): y = 1\n"
    assert definitions(text) == {"FloatArray", "COLOURS", "x", "MARKERS", "log1p_gap"}


@pytest.mark.parametrize("package", ALL)
def test_annotations_say_something(package):
    texts = sources(package)
    count = sum(
        len(re.findall(r"\bAny\b", text)) - len(re.findall(r"import.*\bAny\b", text)) for text in texts.values()
    )
    lines = sum(len(text.splitlines()) for text in texts.values())
    assert 1000 * count / lines <= ANY_PER_THOUSAND_LINES, f"{count} in {lines} lines"


def test_no_line_is_kept_from_the_formatter():
    held = [path for package in ALL for path, text in sources(package).items() if "fmt: " + "skip" in text]
    assert not held


def test_no_decision_is_taken_from_prose():
    pattern = re.compile(
        r"""startswith\(\(?["'](agrees|holds|not |depends|output|refuted|reproduced)|["'][a-z ]+["'] in \w+\.(status|verdict|note|kind)\b"""
    )
    found = {path: pattern.findall(text) for package in ALL for path, text in sources(package).items()}
    assert not {path: hits for path, hits in found.items() if hits}


def test_matrices_of_training_points_are_factored_in_one_place():
    """Threaded Cholesky factorisations of OpenBLAS crash from some 16 000 rows on: `cholesky_factor` takes them by blocks."""
    pattern = re.compile(r"\bd?potrf\b|linalg\.cholesky|cho_factor|import.*\bcholesky\b")
    found = {path: pattern.findall(text) for path, text in sources("ntkinfo").items()}
    assert not {path: hits for path, hits in found.items() if hits}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_is_small_and_every_name_of_it_is_explained(package):
    module = importlib.import_module(package)
    names = [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]
    assert 0 < len(names) <= LARGEST_FACE, f"{len(names)} names"
    for name in names:
        value = getattr(module, name)
        if callable(value):
            assert inspect.getdoc(value), name
            assert value.__module__.split(".")[0] in ALL, name


def test_a_name_of_two_faces_is_one_thing():
    faces = {package: importlib.import_module(package) for package in PACKAGES}
    seen = {}
    for face in faces.values():
        for name in face.__all__:
            value = getattr(face, name)
            if not inspect.ismodule(value):
                assert seen.setdefault(name, value) is value, name


@pytest.mark.parametrize("package", PACKAGES)
def test_what_can_be_saved_can_be_loaded(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) and hasattr(value, "save"):
            assert hasattr(value, "load"), name


@pytest.mark.parametrize("package", PACKAGES)
def test_what_holds_arrays_prints_them_by_their_size(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) and dataclasses.is_dataclass(value):
            arrays = [f.name for f in dataclasses.fields(value) if re.search("ndarray|Array|Atoms", str(f.type))]
            assert not arrays or issubclass(value, Brief), (name, arrays)


@pytest.mark.parametrize("package", ["dualib", "ntkinfo"])
def test_importing_a_package_loads_no_library(package):
    heavy = {"numpy", "scipy", "pandas", "matplotlib", "jax", "neural_tangents", "jaxtyping"}
    code = f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()
