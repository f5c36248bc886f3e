"""A tone and spoken words for each alert and each thank-you, on whatever can play.

The sounds ship as WAV files (`assets/sounds`). They are played by sounddevice where it is installed and finds
a speaker, else by a player of the platform; each that fails gives way to the next, and without any
gatecam goes on silently until one is there again.
"""

from __future__ import annotations

import io
import logging
import threading
import wave
from collections.abc import Callable, Sequence
from datetime import time
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import OutputError
from gatecam.notify.players import Player, PlayError, find_players
from gatecam.settings.config import SoundConfig
from gatecam.types import Event, EventKind, Verdict

FOLDER = Path(__file__).parents[1] / "assets" / "sounds"
RATE_HZ = 22_050  # of all the files
SPOKEN = {Verdict.NONE: "missing", Verdict.INCORRECT: "incorrect", Verdict.CORRECT: "ok"}
CAMERA = "camera"
TONES = {"missing": "alert", "incorrect": "alert", "ok": "ok", CAMERA: "camera"}
GAP_S = 0.15  # between the tone and each language
ALERT_LATE_S = 5.0  # after its event a sound is of no use
OK_LATE_S = 1.0
SILENT = (EventKind.CAMERA_OK, EventKind.TOO_SLOW, EventKind.FAST_ENOUGH)
HANG_S = 14.0  # longer than a program that is ended after its time-out

log = logging.getLogger(__name__)

T = TypeVar("T")


class SoundSink:
    """Plays a tone and words for each event, with the pause between two of a kind; never raises.

    What is late is left out: words to somebody who has gone by are of no use, and a crowd would be talked to
    for minutes. When nothing can play, that is logged once, and the players are looked for anew at the first
    event after `retry_s`: a speaker may be plugged in, and a sound server start, at any time. A player that
    hangs is left behind, in a daemon thread of its own, and not used until it returns.
    """

    def __init__(
        self,
        config: SoundConfig,
        time_of_day: Callable[[], time],
        clock: Callable[[], float] = monotonic,
        players: Sequence[Player] | None = None,
        retry_s: float = 10.0,
        hang_s: float = HANG_S,
    ) -> None:
        """Read the sounds.

        Args:
            config: what is said, how loud, when not, and how often at most.
            time_of_day: tells the local time, for the quiet hours.
            clock: that of the events' times.
            players: tried in order; None looks for them at the first event.
            retry_s: time of silence after which players are looked for anew.
            hang_s: time after which a player counts as hanging.

        Raises:
            OutputError: gatecam's own sounds are missing.
        """
        self._sounds = {name: compose(config, name) for name in (*SPOKEN.values(), CAMERA)}
        self._config, self._time_of_day, self._clock = config, time_of_day, clock
        self._given = players
        self._players: list[Player] = []  # none: to be looked for
        self._proven: set[str] = set()
        self._hung: dict[str, threading.Thread] = {}
        self._silent_s: float | None = None  # event time since which nothing could play
        self._retry_s = retry_s
        self._hang_s = hang_s
        self._ended_s: dict[bool, float] = {}  # when the last sound was over, by whether it was an alert

    def send(self, event: Event) -> None:
        """Play the event's sound, unless it is late, hushed, or one of its kind was over just now; may block.

        A camera that sees again makes no sound, and a machine that is too slow none
        either: visitors can do nothing about it.
        """
        alert = event.kind.is_alert
        sound = self._sounds[CAMERA if event.kind.is_camera else SPOKEN.get(event.verdict, CAMERA)]
        now_s = self._clock()
        since_s = now_s - self._ended_s.get(alert, -np.inf)
        late = now_s - event.time_s > (ALERT_LATE_S if alert else OK_LATE_S)
        if event.kind in SILENT or late or since_s < self._config.pause_s or not sound:
            return
        if is_quiet(self._config.quiet_hours, self._time_of_day()):
            return
        if self._silent_s is not None and 0 <= event.time_s - self._silent_s < self._retry_s:
            return
        reason = self._play(sound)
        if reason is None:
            self._ended_s[alert] = self._clock()
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


def compose(config: SoundConfig, name: str) -> bytes:
    """What is played for `missing`, `incorrect`, `ok` or `camera`: a WAV file; empty where that is nothing.

    A camera has nothing to say to visitors: its sound is a tone alone, whatever the settings.

    Raises:
        OutputError: a file that ships is missing.
    """
    names = [TONES[name]] if config.tones or name == CAMERA else []
    if name != CAMERA:
        names += [f"{name}-{language}" for language in config.voices]
    if not names or config.volume == 0:
        return b""
    gap = np.zeros(round(GAP_S * RATE_HZ))
    parts = [part for each in names for part in (_samples(FOLDER / f"{each}.wav"), gap)]
    samples = np.concatenate(parts[:-1]) * config.volume
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def is_quiet(hours: str | None, now: time) -> bool:
    """Whether a time of day is within hours such as `22:00-07:00`, the end not included.

    >>> [is_quiet("22:00-07:00", time(hour)) for hour in (21, 22, 3, 7)]
    [False, True, True, False]
    """
    if hours is None:
        return False
    start, end = map(time.fromisoformat, hours.split("-"))
    return start <= now < end if start <= end else now >= start or now < end


def _samples(path: Path) -> NDArray[np.float64]:
    try:
        with wave.open(str(path)) as reader:
            return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").astype(np.float64)
    except (OSError, EOFError, wave.Error) as error:
        raise OutputError(f"{path}: the sound cannot be read ({error}): install gatecam again.") from error


def _outcome(call: Callable[[], T]) -> T | Exception:
    """What a call returns or raises; an error of a library's own must not leave the sink waiting."""
    try:
        return call()
    except Exception as error:
        return error
