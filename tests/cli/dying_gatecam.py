"""`gatecam` that is killed while it writes a checkpoint after its third batch: half of it is on the disk."""

from __future__ import annotations

import os
import signal

from gatecam.cli.main import main
from gatecam.training.classifier import learn

save, written = learn.torch.save, []


def save_half(state, path):
    written.append(path)
    if len(written) < 3:
        save(state, path)
        return
    path.write_bytes(b"half a checkpoint")
    os.kill(os.getpid(), signal.SIGKILL)


learn.torch.save = save_half
learn.SAVE_EVERY_S = -1.0
main()
