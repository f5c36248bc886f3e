"""Ways of playing a sound: sounddevice, or a player of the platform, whatever is installed here."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PLAY_TIMEOUT_S = 12.0  # longer than the longest sound
COMMANDS = (
    ("paplay",),
    ("pw-play",),
    ("aplay", "-q"),
    ("afplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)


class PlayError(Exception):
    """A player could not play."""


@dataclass(frozen=True, slots=True)
class Player:
    """A way of playing: `play` takes a whole WAV file's bytes and raises `PlayError` when it cannot."""

    name: str
    play: Callable[[bytes], None]


def find_players() -> list[Player]:
    """The ways of playing that are installed here, best first; whether a speaker listens is not known."""
    players = []
    if (device := _sounddevice_output()) is not None:
        players.append(Player(f"sounddevice ({device})", _play_sounddevice))
    if sys.platform == "win32":
        players.append(Player("winsound", _play_winsound))
    for command in COMMANDS:
        if (program := shutil.which(command[0])) is not None:
            players.append(command_player(program, command))
    return players


def sound_available() -> tuple[bool, str]:
    """Whether alerts can be heard, and by what, or why not and what to do: for `gatecam doctor`."""
    players = find_players()
    if not players:
        return False, "no player found: install the extra [sound], or one of paplay, pw-play, aplay, ffplay"
    if sys.platform == "linux" and not _linux_has_output():
        return (
            False,
            f"{players[0].name} found, but neither a sound card nor a sound server: connect a speaker",
        )
    return True, players[0].name


def command_player(program: str, command: Sequence[str]) -> Player:
    """A player that hands a temporary file to a program and waits for its end, for a bounded time."""

    def play(sound: bytes) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="gatecam-") as folder:
                path = Path(folder) / "sound.wav"
                path.write_bytes(sound)
                done = subprocess.run(
                    [program, *command[1:], str(path)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=PLAY_TIMEOUT_S,
                )
        except subprocess.TimeoutExpired:
            raise PlayError(f"did not end within {PLAY_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise PlayError(str(error)) from error
        # ffplay ends with 0 even when it finds no speaker.
        if done.returncode != 0 or b"audio open failed" in done.stderr:
            raise PlayError("it found no speaker that works")

    return Player(command[0], play)


def _sounddevice_output() -> str | None:
    """The name of sounddevice's output device; None without the library, PortAudio or a device.

    PortAudio lists the devices once, when it starts; it is started anew to see those plugged in since.
    """
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: the library is there, PortAudio is not
        return None
    try:
        sounddevice._terminate()
        sounddevice._initialize()
        return str(sounddevice.query_devices(kind="output")["name"])
    except (sounddevice.PortAudioError, ValueError):
        return None


def _play_sounddevice(sound: bytes) -> None:
    import sounddevice

    with wave.open(io.BytesIO(sound)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
        rate_hz = reader.getframerate()
    try:
        sounddevice.play(samples, rate_hz)
        sounddevice.wait()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise PlayError(str(error)) from error


def _play_winsound(sound: bytes) -> None:
    if sys.platform == "win32":
        import winsound

        try:
            winsound.PlaySound(sound, winsound.SND_MEMORY | winsound.SND_NODEFAULT)
        except RuntimeError as error:
            raise PlayError(str(error)) from error


def _linux_has_output() -> bool:
    """Whether there is a sound card, or a PulseAudio or PipeWire server to play to."""
    cards = Path("/proc/asound/cards")
    if cards.is_file() and "no soundcards" not in cards.read_text():
        return True
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    sockets = runtime / "pulse" / "native", runtime / "pipewire-0"
    return "PULSE_SERVER" in os.environ or any(socket.exists() for socket in sockets)
