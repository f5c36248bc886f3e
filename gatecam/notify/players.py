"""Play sounds with whatever is installed here: sounddevice or a program of the platform."""

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
    """Raised when a player could not play."""


@dataclass(frozen=True, slots=True)
class Player:
    """Plays sounds: `play` takes the bytes of a whole WAV file and raises `PlayError` on failure."""

    name: str
    play: Callable[[bytes], None]


def find_players() -> list[Player]:
    """Return the installed players, best first. Whether a speaker is connected is not checked."""
    players = []
    if (device := _sounddevice_output()) is not None:
        players.append(Player(f"sounddevice ({device})", _play_sounddevice))
    for command in COMMANDS:
        if (program := shutil.which(command[0])) is not None:
            players.append(command_player(program, command))
    return players


def sound_available() -> tuple[bool, str]:
    """Check for `gatecam doctor` whether alerts can be heard.

    Returns:
        Whether they can, and the player's name, or what is missing and what to do about it.
    """
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
    """Return a player that runs a program on a temporary file and waits for it, for a limited time."""

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
        # ffplay ends with 0 even if it finds no speaker.
        if done.returncode != 0 or b"audio open failed" in done.stderr:
            raise PlayError("it found no speaker that works")

    return Player(command[0], play)


def _sounddevice_output() -> str | None:
    """Return the name of sounddevice's output device. None without the library, PortAudio or a device.

    PortAudio lists the devices only when it starts. It is restarted here to see newly connected ones.
    """
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: the library is installed, PortAudio is not
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


def _linux_has_output() -> bool:
    """Return whether there is a sound card, or a PulseAudio or PipeWire server to play to."""
    cards = Path("/proc/asound/cards")
    if cards.is_file() and "no soundcards" not in cards.read_text():
        return True
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"))
    sockets = runtime / "pulse" / "native", runtime / "pipewire-0"
    return "PULSE_SERVER" in os.environ or any(socket.exists() for socket in sockets)
