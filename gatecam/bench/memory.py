"""Measure the peak memory of this process since a given moment, or of another process since its start."""

from __future__ import annotations

from pathlib import Path

import torch

FORGET = "5"  # resets the peak of the resident set (Linux, Documentation/filesystems/proc.rst, clear_refs)


class Peak:
    """Measures the peak memory of this process and its GPU from now on. A new instance resets both peaks."""

    def __init__(self) -> None:
        self._is_counted = _forget()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def held_mb(self) -> float | None:
        """Return the process's peak memory, or None where the system does not count it."""
        return peak_mb("self") if self._is_counted else None

    def held_on_gpu_mb(self) -> float | None:
        """Return torch's peak memory on the GPU, or None without a GPU."""
        return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None


def peak_mb(process: int | str) -> float | None:
    """Return a process's peak memory so far, or None where the system does not count it."""
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
