"""The most memory that was held: by this process in some span of time, or by another since its start."""

from __future__ import annotations

from pathlib import Path

import torch

FORGET = "5"  # the peak of the resident set (Linux, Documentation/filesystems/proc.rst, clear_refs)


class Peak:
    """What this process and its GPU hold at most from here on; making another one begins anew."""

    def __init__(self) -> None:
        self._is_counted = _forget()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def held_mb(self) -> float | None:
        """The most memory of the process, with all that is loaded in it; None where no system counts it."""
        return peak_mb("self") if self._is_counted else None

    def held_on_gpu_mb(self) -> float | None:
        """The most memory that torch held on the GPU; None without one."""
        return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None


def peak_mb(process: int | str) -> float | None:
    """The most memory that a process has held so far; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def _forget() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text(FORGET, encoding="ascii")
    except OSError:
        return False
    return True
