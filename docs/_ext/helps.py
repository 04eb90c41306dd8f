"""What each command prints for ``--help``, in files that docs/api/commands.md includes, so that the page cannot fall behind."""

import io
import os
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "dualib": ("curve", "solve", "transitions", "verify", "plane"),
    "ntkinfo": ("timeline", "modes", "bounds"),
    "deepnets": ("train", "plane", "planes", "gradients", "layers", "movie", "relax", "compare", "variational"),
}


def write(folder: Path) -> None:
    """One file a command; unchanged ones are left alone, so that nothing is read again for them."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["COLUMNS"] = "100"
    for program, names in COMMANDS.items():
        main = import_module(f"{program}.__main__").main
        for name in names:
            said = io.StringIO()
            with redirect_stdout(said), suppress(SystemExit):
                main([name, "--help"])
            if not said.getvalue().startswith(f"usage: {program} {name}"):
                raise RuntimeError(f"{program} {name} --help says nothing")
            path = folder / f"{program}_{name}.txt"
            if not path.is_file() or path.read_text(encoding="utf-8") != said.getvalue():
                path.write_text(said.getvalue(), encoding="utf-8")
