"""Sounds: what is played and when, and silence, in one sentence, where nothing can be heard."""

from __future__ import annotations

import io
import logging
import sys
import threading
import types
import wave
from dataclasses import replace
from datetime import time
from itertools import pairwise

import numpy as np
import pytest

from gatecam.errors import OutputError
from gatecam.notify import players, sound
from gatecam.notify.players import Player, PlayError, command_player
from gatecam.notify.sound import RATE_HZ, SoundSink, compose
from gatecam.settings.schema import SoundConfig
from gatecam.types import EventKind, Presence, Verdict

WAIT_S = 10.0


class FakePlayer:
    """Keeps what it was given; raises while `broken`."""

    def __init__(self, name="fake", broken=False):
        self.sounds, self.calls, self.broken = [], 0, broken
        self.player = Player(name, self.play)

    def play(self, sound):
        self.calls += 1
        if self.broken:
            raise PlayError("no speaker")
        self.sounds.append(sound)


def samples_of(sound):
    with wave.open(io.BytesIO(sound)) as reader:
        assert (reader.getframerate(), reader.getsampwidth(), reader.getnchannels()) == (RATE_HZ, 2, 1)
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").astype(float)


class PunctualSink(SoundSink):
    """Gets each event at its time, or `late_s` after it; sounds take no time."""

    late_s = 0.0

    def send(self, event):
        self._clock = lambda: event.time_s + self.late_s
        super().send(event)


def sink_of(given=None, hour=12, retry_s=10.0, hang_s=WAIT_S, **settings):
    """A sink at a time of day."""
    return PunctualSink(SoundConfig(**settings), lambda: time(hour), lambda: 0.0, given, retry_s, hang_s)


def seconds(wav):
    return len(samples_of(wav)) / RATE_HZ


@pytest.mark.parametrize("name", ["missing", "incorrect", "ok", "camera"])
def test_each_sound_begins_with_its_tone_and_says_its_words(name):
    whole = compose(SoundConfig(), name)
    tone = compose(SoundConfig(voices=()), name)
    assert 0.5 < seconds(tone) < 1.3
    assert (samples_of(whole)[: len(samples_of(tone))] == samples_of(tone)).all()
    korean, english = (compose(SoundConfig(tones=False, voices=(one,)), name) for one in ("ko", "en"))
    if name == "camera":
        assert whole == tone == korean
        return
    assert korean != english
    assert seconds(whole) == pytest.approx(seconds(tone) + seconds(korean) + seconds(english) + 0.3, abs=0.01)
    assert seconds(whole) < sound.ALERT_LATE_S + 2
    other_way = compose(SoundConfig(tones=False, voices=("en", "ko")), name)
    assert (samples_of(other_way)[: len(samples_of(english))] == samples_of(english)).all()


def test_no_sound_clicks_or_is_cut_off_and_all_words_are_equally_loud():
    for path in sound.FOLDER.glob("*.wav"):
        samples = samples_of(path.read_bytes()) / 32768
        assert np.abs(samples[[0, -1]]).max() < 0.01, path.name
        assert np.abs(samples).max() < 0.95, path.name
        if "-" in path.stem:
            assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.115, abs=0.01), path.name
    assert len(list(sound.FOLDER.glob("*.wav"))) == 9


def test_the_three_tones_differ():
    tones = {compose(SoundConfig(voices=()), name) for name in ("missing", "ok", "camera")}
    assert len(tones) == 3


def test_volume_scales_and_zero_plays_nothing(make_event):
    half = samples_of(compose(SoundConfig(volume=0.5), "ok"))
    assert half == pytest.approx(samples_of(compose(SoundConfig(), "ok")) / 2, abs=1)
    fake = FakePlayer()
    sink_of([fake.player], volume=0.0).send(make_event())
    assert fake.calls == 0


def test_without_tones_and_voices_only_a_camera_sounds(make_event):
    fake = FakePlayer()
    sink = sink_of([fake.player], tones=False, voices=())
    sink.send(make_event())
    sink.send(make_event(kind=EventKind.CAMERA_BLIND, time_s=5))
    assert fake.sounds == [compose(SoundConfig(), "camera")]


@pytest.mark.parametrize(("hour", "sounds"), [(21, 1), (22, 0), (3, 0), (7, 1)])
def test_in_quiet_hours_nothing_sounds(make_event, hour, sounds):
    fake = FakePlayer()
    sink_of([fake.player], hour=hour, quiet_hours="22:00-07:00").send(make_event())
    assert fake.calls == sounds


@pytest.mark.parametrize(
    ("kind", "age_s", "sounds"),
    [
        (EventKind.MASK_MISSING, 4.9, 1),
        (EventKind.MASK_MISSING, 5.1, 0),
        (EventKind.MASK_OK, 0.9, 1),
        (EventKind.MASK_OK, 1.1, 0),
    ],
)
def test_what_is_late_is_left_out(make_event, kind, age_s, sounds):
    fake = FakePlayer()
    sink = sink_of([fake.player])
    sink.late_s = age_s
    sink.send(make_event(kind=kind, time_s=100.0))
    assert fake.calls == sounds


@pytest.mark.parametrize(("pause_s", "apart_s"), [(0.0, 0.0), (1.0, 1.0), (3.0, 3.0)])
def test_a_crowd_is_not_talked_to_without_a_pause(make_event, pause_s, apart_s):
    """Sixty people within 30 seconds; each sound takes as long as it is."""
    now_s = [0.0]
    played = []

    def play(wav):
        played.append(now_s[0])
        now_s[0] += seconds(wav)

    config = SoundConfig(pause_s=pause_s)
    sink = SoundSink(config, lambda: time(12), lambda: now_s[0], [Player("slow", play)])
    for number in range(60):
        came_s = number * 0.5
        now_s[0] = max(now_s[0], came_s)
        sink.send(make_event(time_s=came_s))
    long_s = seconds(compose(config, "missing"))
    silences = [after - before - long_s for before, after in pairwise(played)]
    assert len(silences) >= 2
    assert all(apart_s - 1e-6 <= silence <= apart_s + 0.5 for silence in silences)


@pytest.mark.parametrize(
    ("camera", "verdict", "is_thanked"),
    [
        ("gate", Verdict.CORRECT, True),
        ("gate", None, True),
        ("gate", Verdict.NONE, False),
        ("gate", Verdict.INCORRECT, False),
        ("gate", Verdict.UNKNOWN, False),
        ("yard", Verdict.NONE, True),
    ],
)
def test_nobody_hears_thank_you_while_somebody_there_wears_no_mask(make_event, camera, verdict, is_thanked):
    fake = FakePlayer()
    sink = sink_of([fake.player])
    sink.note(Presence(camera, 2, verdict))
    sink.send(make_event(kind=EventKind.MASK_OK))
    assert bool(fake.sounds) == is_thanked
    sink.send(make_event())
    assert fake.sounds[-1] == compose(SoundConfig(), "missing")


def test_a_reminder_says_what_the_verdict_is(make_event):
    fake = FakePlayer()
    reminder = replace(make_event(kind=EventKind.MASK_REMINDER), verdict=Verdict.INCORRECT)
    sink_of([fake.player]).send(reminder)
    assert fake.sounds == [compose(SoundConfig(), "incorrect")]


def test_a_sound_that_is_missing_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sound, "FOLDER", tmp_path)
    with pytest.raises(OutputError, match=r"alert\.wav: the sound cannot be read .*: install gatecam again"):
        sink_of()


def test_two_alerts_within_the_pause_sound_once_but_a_chime_does_not_hush_an_alert(make_event):
    fake = FakePlayer()
    sink = sink_of([fake.player], pause_s=1.0)
    for kind, time_s in (
        (EventKind.MASK_OK, 0.0),
        (EventKind.MASK_MISSING, 0.2),
        (EventKind.MASK_INCORRECT, 0.9),
        (EventKind.MASK_REMINDER, 1.3),
    ):
        sink.send(make_event(kind=kind, time_s=time_s))
    sink.close()
    missing, ok = (compose(SoundConfig(), name) for name in ("missing", "ok"))
    assert fake.sounds == [ok, missing, missing]


def test_of_what_cameras_tell_only_one_that_is_blind_sounds(make_event):
    fake = FakePlayer()
    sink = sink_of([fake.player])
    silent = (EventKind.CAMERA_OK, EventKind.TOO_SLOW, EventKind.FAST_ENOUGH)
    for time_s, kind in enumerate((EventKind.CAMERA_BLIND, *silent, EventKind.MASK_OK)):
        sink.send(make_event(kind=kind, time_s=5.0 * time_s))
    assert fake.sounds == [compose(SoundConfig(), name) for name in ("camera", "ok")]


def test_a_player_that_fails_gives_way_to_the_next(make_event, caplog):
    broken, working = FakePlayer("broken", broken=True), FakePlayer("working")
    sink = sink_of([broken.player, working.player])
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10):
            sink.send(make_event(time_s=time_s))
    assert (broken.calls, len(working.sounds)) == (1, 2)
    assert not caplog.records


@pytest.mark.parametrize("number", [0, 1])
def test_without_a_working_player_one_sentence_is_said_and_nothing_is_raised(number, make_event, caplog):
    sink = sink_of([FakePlayer("aplay", broken=True).player][:number])
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10, 20):
            sink.send(make_event(time_s=time_s))
    (record,) = caplog.records
    assert "Alerts are silent" in record.getMessage()


def test_a_speaker_that_is_gone_is_tried_again_after_a_pause_and_both_ends_are_said(make_event, caplog):
    first, second = FakePlayer("first"), FakePlayer("second", broken=True)
    sink = sink_of([first.player, second.player], retry_s=10)
    calls = []
    with caplog.at_level(logging.WARNING):
        for time_s, broken in (
            (0, False),
            (20, True),
            (25, True),
            (29, False),
            (30, True),
            (35, False),
            (40, False),
        ):
            first.broken = broken
            sink.send(make_event(time_s=time_s))
            calls.append((first.calls, second.calls))
    assert calls == [(1, 0), (2, 1), (2, 1), (2, 1), (3, 2), (3, 2), (4, 2)]
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("Alerts are silent (second: no speaker)")
    assert said[1:] == ["Alerts sound again."]


def test_a_speaker_that_comes_after_the_start_is_found(make_event, monkeypatch):
    fake = FakePlayer()
    found = iter([[], [fake.player]])
    monkeypatch.setattr(sound, "find_players", lambda: next(found))
    sink = sink_of(retry_s=10)
    for time_s in (0, 10, 20):
        sink.send(make_event(time_s=time_s))
    assert len(fake.sounds) == 2


def test_a_player_that_hangs_is_left_behind_until_it_returns(make_event, caplog):
    dead_driver, calls = threading.Event(), []

    def hang(sound):
        calls.append(threading.current_thread())
        dead_driver.wait(WAIT_S)

    working = FakePlayer("working")
    sink = sink_of([Player("dead", hang), working.player], hang_s=0.02)
    for time_s in (0, 10):
        sink.send(make_event(time_s=time_s))
    assert (len(calls), len(working.sounds)) == (1, 2)
    alone = sink_of([Player("dead", hang)], retry_s=0, hang_s=0.02)
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10, 20):
            alone.send(make_event(time_s=time_s))
    assert len(calls) == 2
    assert [record.getMessage()[:33] for record in caplog.records] == ["Alerts are silent (dead hangs): c"]
    dead_driver.set()
    for thread in calls:
        thread.join(WAIT_S)
    alone.send(make_event(time_s=30))
    assert len(calls) == 3
    assert caplog.records[-1].getMessage() == "Alerts sound again."


def test_an_error_of_a_sound_library_itself_is_a_player_that_fails(make_event, caplog):
    def play(sound):
        raise RuntimeError("PortAudio not initialized")

    with caplog.at_level(logging.WARNING):
        sink_of([Player("sounddevice", play)]).send(make_event())
    assert "Alerts are silent (sounddevice: PortAudio not initialized)" in caplog.text


def run_python(code):
    return command_player(sys.executable, ("python", "-c", code))


def test_a_command_gets_a_wav_file_that_is_gone_afterwards(tmp_path):
    note = tmp_path / "note"
    copy = (
        f"import sys; open({str(note)!r}, 'wb').write(open(sys.argv[1], 'rb').read() + sys.argv[1].encode())"
    )
    run_python(copy).play(b"RIFFdata")
    content = note.read_bytes()
    assert content.startswith(b"RIFFdata")
    assert content.endswith(b"sound.wav")
    assert not (tmp_path / content[len(b"RIFFdata") :].decode()).exists()


@pytest.mark.parametrize(
    "code", ["raise SystemExit(1)", "import sys; sys.stderr.write('No more combinations, audio open failed')"]
)
def test_a_command_without_a_speaker_is_a_play_error(code):
    with pytest.raises(PlayError, match="no speaker"):
        run_python(code).play(b"")


def test_a_command_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(players, "PLAY_TIMEOUT_S", 0.05)
    with pytest.raises(PlayError, match=r"did not end within 0\.05 s"):
        run_python("import signal; signal.pause()").play(b"")


def test_a_command_that_is_gone_is_a_play_error(tmp_path):
    with pytest.raises(PlayError, match="No such file"):
        command_player(str(tmp_path / "gone"), ("gone",)).play(b"")


class FakeSoundDevice(types.ModuleType):
    """sounddevice, as far as gatecam uses it."""

    class PortAudioError(Exception):
        pass

    def __init__(self, working=True):
        super().__init__("sounddevice")
        self.working, self.played, self.starts = working, [], 0

    def _terminate(self):
        pass

    def _initialize(self):
        self.starts += 1

    def query_devices(self, kind):
        if not self.working:
            raise self.PortAudioError("no default output device")
        return {"name": "Speakers"}

    def play(self, samples, rate):
        if not self.working:
            raise self.PortAudioError("device unplugged")
        self.played.append((len(samples), rate))

    def wait(self):
        pass


def test_sounddevice_comes_first_where_it_has_a_speaker(monkeypatch, make_event):
    library = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    assert players.find_players()[0].name == "sounddevice (Speakers)"
    sink = sink_of()
    sink.send(make_event())
    assert library.played == [(len(samples_of(compose(SoundConfig(), "missing"))), RATE_HZ)]
    assert library.starts == 2  # a list made at its first start would lack what was plugged in since
    library.working = False
    with pytest.raises(PlayError, match="unplugged"):
        players._play_sounddevice(compose(SoundConfig(), "ok"))


@pytest.mark.parametrize("library", [None, FakeSoundDevice(working=False)], ids=["absent", "no speaker"])
def test_without_sounddevice_and_players_the_doctor_says_what_to_install(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    monkeypatch.setenv("PATH", "")
    assert players.find_players() == []
    ok, text = players.sound_available()
    assert not ok
    assert "install the extra [sound]" in text


def test_a_test_sounds_even_in_quiet_hours_and_says_why_nothing_is_heard():
    fake = FakePlayer()
    sink_of([fake.player], hour=3, quiet_hours="22:00-07:00").test()
    assert seconds(fake.sounds[0]) > 1
    with pytest.raises(OutputError, match=r"nothing was heard: sound\.volume is 0"):
        sink_of([fake.player], volume=0.0).test()
    fake.broken = True
    with pytest.raises(OutputError, match="nothing was heard: fake: no speaker"):
        sink_of([fake.player]).test()
