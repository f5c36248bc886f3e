"""Makes the sounds that ship, by espeak-ng and flite: `python tests/make_sounds.py gatecam/assets/sounds`."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatecam.pictures.messages import MESSAGES
from gatecam.types import Verdict

RATE_HZ = 22_050
TONES = {
    "alert": ((880.0, 698.46), 0.5),  # A5, F5: a falling third, like a door bell
    "ok": ((783.99, 1046.5), 0.3),  # G5, C6: rising
    "camera": ((440.0, 440.0, 440.0), 0.4),  # A4 three times: for the operator
}
NOTE_S = 0.28
WORDS = {"missing": Verdict.NONE, "incorrect": Verdict.INCORRECT, "ok": Verdict.CORRECT}
SPEAKERS = {
    "ko": ("espeak-ng", "-v", "ko", "-s", "150", "-g", "1", "-w"),
    "en": ("flite", "-voice", "slt", "--setf", "duration_stretch=1.1", "-o"),
}
SPEECH_RMS = 0.12  # of full scale
SILENCE = 0.01

Samples = NDArray[np.float64]  # of full scale, -1 to 1


def chime(notes_hz: Sequence[float], loudness: float) -> Samples:
    """Soft bell notes, one after the other; `loudness` is the peak."""
    time_s = np.arange(round(NOTE_S * 2 * RATE_HZ)) / RATE_HZ
    attack = np.minimum(time_s / 0.012, 1)
    release = np.minimum((time_s[-1] - time_s) / 0.05, 1)
    envelope = attack * np.exp(-time_s * 7) * release  # ends at zero, so that nothing clicks
    start = round(NOTE_S * RATE_HZ)
    sound = np.zeros(start * (len(notes_hz) - 1) + len(time_s))
    for i, note_hz in enumerate(notes_hz):
        angle = 2 * np.pi * note_hz * time_s
        sound[i * start : i * start + len(time_s)] += envelope * (np.sin(angle) + 0.25 * np.sin(2 * angle))
    return sound / np.abs(sound).max() * loudness


def speech(language: str, text: str) -> Samples:
    """Words without silence around them, equally loud in all languages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.wav"
        command = list(SPEAKERS[language])
        words = [*command, str(path), text] if language == "ko" else [*command, str(path), "-t", text]
        subprocess.run(words, check=True)
        with wave.open(str(path)) as reader:
            rate_hz = reader.getframerate()
            raw = np.frombuffer(reader.readframes(reader.getnframes()), "<i2") / 32768
    raw = np.interp(np.arange(0, len(raw), rate_hz / RATE_HZ), np.arange(len(raw)), raw)
    loud = np.flatnonzero(np.abs(raw) > SILENCE)
    raw = raw[max(0, loud[0] - RATE_HZ // 50) : loud[-1] + RATE_HZ // 20]
    raw = raw / np.sqrt(np.mean(raw**2)) * SPEECH_RMS
    raw = np.tanh(raw / 0.9) * 0.9  # peaks are bent, not cut off
    fade = np.linspace(0, 1, RATE_HZ // 100)
    raw[: len(fade)] *= fade
    raw[-len(fade) :] *= fade[::-1]
    return raw


def to_wav(samples: Samples) -> bytes:
    """16 bit, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def main(folder: Path) -> None:
    """Write all sounds."""
    for name, (notes_hz, loudness) in TONES.items():
        (folder / f"{name}.wav").write_bytes(to_wav(chime(notes_hz, loudness)))
    for name, verdict in WORDS.items():
        for language, text in (("ko", MESSAGES[verdict].korean), ("en", MESSAGES[verdict].english)):
            (folder / f"{name}-{language}.wav").write_bytes(to_wav(speech(language, text)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
