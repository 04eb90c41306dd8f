"""The figures of the executed examples: those of every axes or figure that a block leaves under a name, pyplot or not."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

SHOWN = "__shown__"


def figures(block: object, block_vars: Mapping[str, Any], gallery_conf: Mapping[str, Any]) -> str:
    """Save what is new since the block before, each figure once, and return the text that shows it."""
    names = block_vars["example_globals"]
    shown = names.setdefault(SHOWN, [])
    found = [v.figure if isinstance(v, Axes) else v for v in names.values() if isinstance(v, Axes | Figure)]
    paths = []
    for figure in dict.fromkeys(found):
        if figure not in shown:
            shown.append(figure)
            paths.append(next(block_vars["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=gallery_conf.get("dpi", 150))
    return figure_rst(paths, gallery_conf["src_dir"])
