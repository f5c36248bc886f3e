"""Play a tone and spoken words for each alert and each thank-you.

The sounds ship as WAV files (`assets/sounds`). sounddevice plays them if it is installed and finds a speaker.
Otherwise a program of the platform plays them. If a player fails, the next one is tried. Without any player,
gatecam stays silent until one works.
"""

from __future__ import annotations

import io
import logging
import threading
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from datetime import time
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gatecam.errors import OutputError
from gatecam.notify.players import Player, PlayError, find_players
from gatecam.settings.schema import SoundConfig
from gatecam.types import Event, EventKind, Presence, Verdict

FOLDER = Path(__file__).parents[1] / "assets" / "sounds"
RATE_HZ = 22_050  # sampling rate of all the files
SPOKEN = {Verdict.NONE: "missing", Verdict.INCORRECT: "incorrect", Verdict.CORRECT: "ok"}
CAMERA = "camera"
TONES = {"missing": "alert", "incorrect": "alert", "ok": "ok", CAMERA: "camera"}
GAP_S = 0.15  # between the tone and each language
ALERT_LATE_S, OK_LATE_S = 5.0, 1.0  # a sound that would start later than this after its event is left out
SILENT = (EventKind.CAMERA_OK, EventKind.TOO_SLOW, EventKind.FAST_ENOUGH)
HANG_S = 14.0  # longer than the time-out of a player's program

log = logging.getLogger(__name__)

T = TypeVar("T")


class SoundSink:
    """Plays a tone and words for each event, with a pause between two sounds of a kind. It never raises.

    Late sounds are left out, because the person has gone by, and a crowd would keep the speaker busy for
    minutes. If nothing can play, that is logged once. The first event after `retry_s` makes a new search for
    players, because a speaker may be connected, or a sound server started, at any time. A player that hangs
    is left alone in its daemon thread and is not used until it returns.
    """

    def __init__(
        self,
        config: SoundConfig,
        time_of_day: Callable[[], time],
        clock: Callable[[], float] = monotonic,
        players: Sequence[Player] | None = None,
        retry_s: float = 10.0,
        hang_s: float = HANG_S,
        on_played: Callable[[Event, str], None] = lambda event, said: None,
    ) -> None:
        """Read the sounds.

        Args:
            config: sounds, volume, quiet hours and pause.
            time_of_day: returns the local time, for the quiet hours.
            clock: the clock of the events' times.
            players: players to try in order. None searches for players at the first event.
            retry_s: time of silence after which players are searched for again.
            hang_s: time after which a player counts as hanging.
            on_played: called with an event and what was played for it, such as `tone, ko, en`.

        Raises:
            OutputError: gatecam's own sounds are missing.
        """
        self._sounds = {name: compose(config, name) for name in (*SPOKEN.values(), CAMERA)}
        self._config, self._time_of_day, self._clock = config, time_of_day, clock
        self._given = players
        self._players: list[Player] = []  # empty: search for players first
        self._proven: set[str] = set()
        self._hung: dict[str, threading.Thread] = {}
        self._silent_s: float | None = None  # event time from which on nothing could play
        self._retry_s = retry_s
        self._hang_s, self._on_played = hang_s, on_played
        self._ended_s: dict[bool, float] = {}  # when the last sound ended, by whether it was an alert
        self._verdicts: dict[str, Verdict | None] = {}  # of the addressed person, by camera

    def note(self, presence: Presence) -> None:
        """Take what a camera sees now. This is an observer of `Presences`."""
        self._verdicts[presence.camera] = presence.verdict

    def send(self, event: Event) -> None:
        """Play the event's sound. This may block.

        Nothing is played if the event is late, during quiet hours, or within the pause after a sound of the
        same kind. A camera that recovers and a machine that is too slow make no sound, because visitors can
        do nothing about either. Nobody is thanked while the addressed person does not wear a mask correctly,
        because that person would hear the thanks too.
        """
        alert = event.kind.is_alert
        sound = self._sounds[CAMERA if event.kind.is_camera else SPOKEN.get(event.verdict, CAMERA)]
        now_s = self._clock()
        since_s = now_s - self._ended_s.get(alert, -np.inf)
        late = now_s - event.time_s > (ALERT_LATE_S if alert else OK_LATE_S)
        if event.kind in SILENT or late or since_s < self._config.pause_s or not sound:
            return
        is_thanks = event.kind is EventKind.MASK_OK
        if is_thanks and self._verdicts.get(event.camera) not in (None, Verdict.CORRECT):
            return
        if is_quiet(self._config.quiet_hours, self._time_of_day()):
            return
        if self._silent_s is not None and 0 <= event.time_s - self._silent_s < self._retry_s:
            return
        reason = self._play(sound)
        if reason is None:
            self._ended_s[alert] = self._clock()
            self._on_played(event, self._said(event))
        self._tell(reason)
        self._silent_s = None if reason is None else event.time_s

    def test(self) -> None:
        """Play the sound for a missing mask, also during quiet hours.

        Raises:
            OutputError: nothing can play it, or the settings make it silent.
        """
        sound = self._sounds["missing"]
        reason = self._play(sound) if sound else "sound.volume is 0, or there are neither tones nor voices"
        if reason is not None:
            raise OutputError(f"nothing was heard: {reason}.")

    def _said(self, event: Event) -> str:
        """Return what an event's sound consists of."""
        if event.kind.is_camera:
            return "tone"
        return ", ".join([*(["tone"] if self._config.tones else []), *self._config.voices])

    def close(self) -> None:
        """Do nothing: nothing is held open between sounds."""

    def _play(self, sound: bytes) -> str | None:
        """Try the players in order. Return None if one played, else why the last one did not.

        A player that has never played and fails is left out until the next search for players.
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
        """Call in a thread that can be left behind, because a broken driver may block a call for ever."""
        hung = self._hung.get(name)
        if hung is not None and hung.is_alive():
            raise PlayError(f"{name} hangs")
        answer: Future[T] = Future()
        thread = threading.Thread(target=_answer, args=(answer, call), name=f"sound: {name}", daemon=True)
        thread.start()
        if not wait([answer], self._hang_s).done:
            self._hung[name] = thread
            raise PlayError(f"{name} hangs")
        if (error := answer.exception()) is not None:
            raise PlayError(f"{name}: {error or type(error).__name__}") from error
        return answer.result()

    def _tell(self, reason: str | None) -> None:
        """Log once that alerts are silent, and once that they are heard again."""
        if reason is not None and self._silent_s is None:
            log.warning(
                "Alerts are silent (%s): connect a speaker, or set notify.sound to false; "
                "`gatecam doctor` says more.",
                reason,
            )
        elif reason is None and self._silent_s is not None:
            log.warning("Alerts sound again.")


def compose(config: SoundConfig, name: str) -> bytes:
    """Return the WAV file for `missing`, `incorrect`, `ok` or `camera`, or nothing if it is silent.

    The sound for a camera is always a tone without words, because it does not concern visitors.

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
    """Return whether a time of day is within hours such as `22:00-07:00`. The end is not included.

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


def _answer(answer: Future[T], call: Callable[[], T]) -> None:
    """Pass on what a call returns or raises, whatever the error, so that the sink does not wait for ever."""
    try:
        answer.set_result(call())
    except Exception as error:
        answer.set_exception(error)
