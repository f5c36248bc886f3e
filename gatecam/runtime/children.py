"""Give the processes that gatecam starts for itself an environment, and make them end with gatecam."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def child_environment() -> dict[str, str]:
    """Return the environment of a process that gatecam starts: the same module path, and no idle threads."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def end_with_parent() -> None:
    """Make this process end when standard input closes, even if a library hangs, or on Linux if stopped."""
    # systemd sends SIGTERM to every process of a service, but gatecam itself decides when this one ends
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kill_with_parent()
    threading.Thread(target=_exit_at_end_of_input, name="parent", daemon=True).start()


def kill_with_parent() -> None:
    """Make the kernel kill this process when the thread that started it ends. This works on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)
