"""How the site is built: ``uv run --group docs sphinx-build -W docs .cache/site``. Nothing is fetched from the network."""

import os
import re
import sys
import tomllib
import warnings
from pathlib import Path

import sphinx.application
from docutils.parsers.rst.states import Inliner

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]
import helps

helps.write(ROOT / "docs" / "api" / "help")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KEYS = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))

project, author, release = PROJECT["name"], PROJECT["authors"][0]["name"], PROJECT["version"]
version = release
project_copyright = f"2026, {author}"

extensions = [
    *("sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode", "numpydoc", "myst_parser"),
    *(
        "sphinxcontrib.bibtex",
        "sphinx_gallery.gen_gallery",
        "sphinx_design",
        "sphinx_copybutton",
        "sphinx-mathjax-offline",
    ),
]
templates_path = ["_templates"]
exclude_patterns = ["figures/README.md", "gallery/**/*.ipynb", "tutorials", "questions"]
default_role = "literal"
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = f"ntk-dualib {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
}

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
math_number_all = False
math_eqref_format = "({number})"
numfig = False

bibtex_bibfiles = [str(Path("..") / "references.bib")]
bibtex_reference_style = "author_year"
bibtex_default_style = "plain"

sphinx_gallery_conf = {
    "examples_dirs": ["tutorials", "questions"],
    "gallery_dirs": ["gallery/tutorials", "gallery/questions"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "plot_gallery": "True",
    "min_reported_time": 5,
    "show_memory": False,
    "capture_repr": (),
    "image_scrapers": ("scrape.figures",),
    "reset_modules": (),
    "default_thumb_file": str(ROOT / "docs" / "headline.png"),
}
warnings.filterwarnings("ignore", message="IProgress not found")
suppress_warnings = ["config.cache"]


def bar(inliner: Inliner, match: re.Match[str], line: int) -> tuple[str, list[object], str, list[object]]:
    """A vertical bar, as in I(Z;X|D), is mathematics here and never a substitution."""
    return match.string[: match.end("start")], [], match.string[match.end("start") :], []


def cite(app: sphinx.application.Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keys of references.bib, ``[tishby1999]_`` in a docstring, become links to the bibliography."""
    for i, line in enumerate(lines):
        lines[i] = re.sub(r"\[(\w+)\]_", lambda m: f":cite:t:`{m[1]}`" if m[1] in KEYS else m[0], line)


def setup(app: sphinx.application.Sphinx) -> None:
    """The site's hooks; numpydoc's comes after `cite`, at priority 500."""
    Inliner.dispatch["|"] = bar
    app.connect("autodoc-process-docstring", cite, priority=400)
