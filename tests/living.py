"""Whether processes are gone, and waiting for it."""

import subprocess
import time

PATIENCE = 60.0  # seconds, on a busy machine


def lives(pid):
    """Whether a process runs, and is no zombie that nobody has asked after."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
