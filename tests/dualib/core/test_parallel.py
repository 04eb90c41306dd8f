"""Worker processes: they leave no word and no process behind, however the work ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from living import PATIENCE, lives, until

from dualib.core.parallel import in_order, processes

PROGRAM = textwrap.dedent("""
    import os, signal, sys, time
    from pathlib import Path
    from dualib.core.parallel import in_order, processes

    def slow(i):
        Path(sys.argv[1], f"{i}-{os.getpid()}").touch()
        time.sleep(600)

    if __name__ == "__main__":
        if "ignored" in sys.argv:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what runs in the background
        else:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with processes(2) as pool:
            list(in_order(slow, range(4), executor=pool, progress=False))
""")


@pytest.mark.parametrize("how", ["ctrl-c", "interrupted alone", "killed", "ignored"])
def test_workers_end_with_the_program(tmp_path, how):
    (tmp_path / "program.py").write_text(PROGRAM)
    started = tmp_path / "started"
    started.mkdir()
    main = subprocess.Popen(
        [sys.executable, tmp_path / "program.py", started, how],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(list(started.iterdir())) == 2)
    workers = [int(path.name.split("-")[1]) for path in started.iterdir()]
    if how in ("ctrl-c", "ignored"):
        os.killpg(main.pid, signal.SIGINT)  # as a terminal does
    else:
        main.send_signal(signal.SIGINT if how == "interrupted alone" else signal.SIGKILL)
    if how == "ignored":
        with pytest.raises(subprocess.TimeoutExpired):
            main.communicate(timeout=1.0)
        assert all(map(lives, workers))
        main.kill()
    _, err = main.communicate(timeout=PATIENCE)
    until(lambda: not any(map(lives, workers)))
    assert main.returncode != 0
    if how in ("ctrl-c", "interrupted alone"):
        assert err.count("Traceback") <= 1 + err.count("The above exception") + err.count("During handling")
        assert "KeyboardInterrupt" in err or main.returncode == -signal.SIGINT
        assert "Process SpawnProcess" not in err  # no word of the workers


def test_an_error_of_one_item_does_not_wait_for_the_others():
    begin = time.monotonic()
    with pytest.raises(ValueError, match="could not convert"), processes(2) as pool:
        list(in_order(float, ["1", "one", "2"], executor=pool, progress=False))
    assert time.monotonic() - begin < PATIENCE


def test_no_workers_are_this_process():
    with processes(None) as pool:
        assert pool is None
        assert list(in_order(abs, [-1, 2], executor=pool, progress=False)) == [1, 2]
