"""Floor 3: a tone for each alert and a chime for each thank-you, on whatever can play one.

The sounds are synthesised here. They are played by sounddevice where it is installed and finds a
speaker, else by a player of the platform; each that fails gives way to the next, and without any
gatecam goes on silently until one is there again.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

import numpy as np

from gatecam.types import Event, EventKind

RATE_HZ = 44_100
ALERT_NOTES_HZ = (880.0, 698.46)  # A5, F5: a falling third, like a door bell
OK_NOTES_HZ = (783.99, 1046.5)  # G5, C6: rising
NOTE_S = 0.28
PLAY_TIMEOUT_S = 5.0
HANG_S = 7.0  # longer than a program that is ended after its time-out
COMMANDS = (
    ("paplay",),
    ("pw-play",),
    ("aplay", "-q"),
    ("afplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)

log = logging.getLogger(__name__)

T = TypeVar("T")


class PlayError(Exception):
    """A player could not play."""


@dataclass(frozen=True, slots=True)
class Player:
    """A way of playing: `play` takes a whole WAV file's bytes and raises `PlayError` when it cannot."""

    name: str
    play: Callable[[bytes], None]


class ToneSink:
    """Plays a sound for each event, never two of a kind within `pause_s` of event time; never raises.

    When nothing can play, that is logged once, and the players are looked for anew at the first event
    after `retry_s`: a speaker may be plugged in, and a sound server start, at any time. A player that
    hangs is left behind, in a daemon thread of its own, and not used until it returns.
    """

    def __init__(
        self,
        players: Sequence[Player] | None = None,
        pause_s: float = 1.0,
        retry_s: float = 10.0,
        hang_s: float = HANG_S,
    ) -> None:
        """Synthesise the sounds; `players` are tried in order, None looks for them at the first event."""
        self._alert, self._ok = chime(ALERT_NOTES_HZ, loudness=0.5), chime(OK_NOTES_HZ, loudness=0.3)
        self._given = players
        self._players: list[Player] = []  # none: to be looked for
        self._proven: set[str] = set()
        self._hung: dict[str, threading.Thread] = {}
        self._silent_s: float | None = None  # event time since which nothing could play
        self._pause_s = pause_s
        self._retry_s = retry_s
        self._hang_s = hang_s
        self._played_s: dict[bool, float] = {}  # by whether it was an alert

    def send(self, event: Event) -> None:
        """Play the event's sound, unless one of its kind was just played; may block for some seconds.

        A camera that sees again makes no sound.
        """
        alert = event.kind.is_alert
        since_s = event.time_s - self._played_s.get(alert, -np.inf)
        if event.kind is EventKind.CAMERA_OK or 0 <= since_s < self._pause_s:
            return
        if self._silent_s is not None and 0 <= event.time_s - self._silent_s < self._retry_s:
            return
        self._played_s[alert] = event.time_s
        reason = self._play(self._alert if alert else self._ok)
        self._tell(reason)
        self._silent_s = None if reason is None else event.time_s

    def close(self) -> None:
        """Nothing is held between sounds."""

    def _play(self, sound: bytes) -> str | None:
        """Try the players in order; None when one played, else why the last did not.

        One that has never played and fails is not tried again until all are looked for anew.
        """
        reason = "no player was found"
        try:
            players = self._players = self._players or self._within_time("the search for players", self._find)
        except PlayError as error:
            return str(error)
        for player in tuple(players):
            try:
                self._within_time(player.name, partial(player.play, sound))
            except PlayError as error:
                reason = str(error)
                if player.name not in self._proven:
                    players.remove(player)
            else:
                self._proven.add(player.name)
                return None
        self._players = []
        return reason

    def _find(self) -> list[Player]:
        return find_players() if self._given is None else list(self._given)

    def _within_time(self, name: str, call: Callable[[], T]) -> T:
        """Call in a thread that can be left behind: a dead driver may hold a call, or a child, for ever."""
        hung = self._hung.get(name)
        if hung is not None and hung.is_alive():
            raise PlayError(f"{name} hangs")
        answers: SimpleQueue[T | Exception] = SimpleQueue()
        thread = threading.Thread(
            target=lambda: answers.put(_outcome(call)), name=f"sound: {name}", daemon=True
        )
        thread.start()
        try:
            answer = answers.get(timeout=self._hang_s)
        except Empty:
            self._hung[name] = thread
            raise PlayError(f"{name} hangs") from None
        if isinstance(answer, Exception):
            raise PlayError(f"{name}: {answer or type(answer).__name__}") from answer
        return answer

    def _tell(self, reason: str | None) -> None:
        """Say once that alerts are silent, and once that they sound again."""
        if reason is not None and self._silent_s is None:
            log.warning(
                "Alerts are silent (%s): connect a speaker, or set notify.sound to false; "
                "`gatecam doctor` says more.",
                reason,
            )
        elif reason is None and self._silent_s is not None:
            log.warning("Alerts sound again.")


def _outcome(call: Callable[[], T]) -> T | Exception:
    """What a call returns or raises; an error of a library's own must not leave the sink waiting."""
    try:
        return call()
    except Exception as error:
        return error


def chime(notes_hz: Sequence[float], loudness: float) -> bytes:
    """A WAV file (16 bit, mono, 44.1 kHz) of soft bell notes, one after the other.

    `loudness` is the peak as a share of full scale, 0 to 1.
    """
    time_s = np.arange(round(NOTE_S * 2 * RATE_HZ)) / RATE_HZ
    attack = np.minimum(time_s / 0.012, 1)
    release = np.minimum((time_s[-1] - time_s) / 0.05, 1)
    envelope = attack * np.exp(-time_s * 7) * release  # ends at zero, so that nothing clicks
    start = round(NOTE_S * RATE_HZ)
    sound = np.zeros(start * (len(notes_hz) - 1) + len(time_s))
    for i, note_hz in enumerate(notes_hz):
        angle = 2 * np.pi * note_hz * time_s
        sound[i * start : i * start + len(time_s)] += envelope * (np.sin(angle) + 0.25 * np.sin(2 * angle))
    samples = (sound / np.abs(sound).max() * loudness * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


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
                path = Path(folder) / "tone.wav"
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
    try:
        sounddevice.play(samples, RATE_HZ)
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
