"""Tones: what is played and when, and silence, in one sentence, where nothing can be heard."""

from __future__ import annotations

import io
import logging
import sys
import threading
import types
import wave

import numpy as np
import pytest

from gatecam.notify import tone
from gatecam.notify.tone import ALERT_NOTES_HZ, RATE_HZ, Player, PlayError, ToneSink, chime, command_player
from gatecam.types import EventKind

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


def test_a_chime_has_its_notes_its_loudness_and_no_clicks():
    samples = samples_of(chime(ALERT_NOTES_HZ, loudness=0.5))
    assert np.abs(samples).max() == pytest.approx(0.5 * 32767, rel=0.001)
    assert abs(samples[0]) < 10
    assert abs(samples[-1]) < 10
    first = samples[: round(0.28 * RATE_HZ)]
    loudest_hz = np.abs(np.fft.rfft(first)).argmax() * RATE_HZ / len(first)
    assert loudest_hz == pytest.approx(ALERT_NOTES_HZ[0], abs=5)


def test_alerts_and_thanks_sound_unlike():
    player = FakePlayer()
    assert ToneSink([player.player])._alert != ToneSink([player.player])._ok


def test_two_alerts_within_the_pause_sound_once_but_a_chime_does_not_hush_an_alert(make_event):
    fake = FakePlayer()
    sink = ToneSink([fake.player], pause_s=1.0)
    for kind, time_s in (
        (EventKind.MASK_OK, 0.0),
        (EventKind.MASK_MISSING, 0.2),
        (EventKind.MASK_INCORRECT, 0.9),
        (EventKind.MASK_REMINDER, 1.3),
    ):
        sink.send(make_event(kind=kind, time_s=time_s))
    sink.close()
    assert fake.sounds == [sink._ok, sink._alert, sink._alert]


def test_a_clock_that_starts_anew_does_not_hush_an_alert(make_event):
    fake = FakePlayer()
    sink = ToneSink([fake.player])
    for time_s in (100.0, 0.0):
        sink.send(make_event(time_s=time_s))
    assert len(fake.sounds) == 2


def test_a_camera_that_is_blind_sounds_as_an_alert_and_one_that_sees_again_is_silent(make_event):
    fake = FakePlayer()
    sink = ToneSink([fake.player])
    for kind, time_s in ((EventKind.CAMERA_BLIND, 0.0), (EventKind.CAMERA_OK, 5.0), (EventKind.MASK_OK, 5.1)):
        sink.send(make_event(kind=kind, time_s=time_s))
    assert fake.sounds == [sink._alert, sink._ok]


def test_a_player_that_fails_gives_way_to_the_next(make_event, caplog):
    broken, working = FakePlayer("broken", broken=True), FakePlayer("working")
    sink = ToneSink([broken.player, working.player])
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10):
            sink.send(make_event(time_s=time_s))
    assert (broken.calls, len(working.sounds)) == (1, 2)
    assert not caplog.records


@pytest.mark.parametrize("players", [0, 1])
def test_without_a_working_player_one_sentence_is_said_and_nothing_is_raised(players, make_event, caplog):
    sink = ToneSink([FakePlayer("aplay", broken=True).player][:players])
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10, 20):
            sink.send(make_event(time_s=time_s))
    (record,) = caplog.records
    assert "Alerts are silent" in record.getMessage()


def test_a_speaker_that_is_gone_is_tried_again_after_a_pause_and_both_ends_are_said(make_event, caplog):
    first, second = FakePlayer("first"), FakePlayer("second", broken=True)
    sink = ToneSink([first.player, second.player], retry_s=10)
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
    players = iter([[], [fake.player]])
    monkeypatch.setattr(tone, "find_players", lambda: next(players))
    sink = ToneSink(retry_s=10)
    for time_s in (0, 10, 20):
        sink.send(make_event(time_s=time_s))
    assert len(fake.sounds) == 2


def test_a_player_that_hangs_is_left_behind_until_it_returns(make_event, caplog):
    dead_driver, calls = threading.Event(), []

    def hang(sound):
        calls.append(threading.current_thread())
        dead_driver.wait(WAIT_S)

    working = FakePlayer("working")
    sink = ToneSink([Player("dead", hang), working.player], hang_s=0.02)
    for time_s in (0, 10):
        sink.send(make_event(time_s=time_s))
    assert (len(calls), len(working.sounds)) == (1, 2)
    alone = ToneSink([Player("dead", hang)], retry_s=0, hang_s=0.02)
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
        ToneSink([Player("sounddevice", play)]).send(make_event())
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
    assert content.endswith(b"tone.wav")
    assert not (tmp_path / content[len(b"RIFFdata") :].decode()).exists()


@pytest.mark.parametrize(
    "code", ["raise SystemExit(1)", "import sys; sys.stderr.write('No more combinations, audio open failed')"]
)
def test_a_command_without_a_speaker_is_a_play_error(code):
    with pytest.raises(PlayError, match="no speaker"):
        run_python(code).play(b"")


def test_a_command_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(tone, "PLAY_TIMEOUT_S", 0.05)
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


def test_sounddevice_comes_first_where_it_has_a_speaker(monkeypatch, make_event):
    library = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    assert tone.find_players()[0].name == "sounddevice (Speakers)"
    sink = ToneSink()
    sink.send(make_event())
    assert library.played == [(len(samples_of(sink._alert)), RATE_HZ)]
    assert library.starts == 2  # a list made at its first start would lack what was plugged in since
    library.working = False
    with pytest.raises(PlayError, match="unplugged"):
        tone._play_sounddevice(sink._alert)


@pytest.mark.parametrize("library", [None, FakeSoundDevice(working=False)], ids=["absent", "no speaker"])
def test_without_sounddevice_and_players_the_doctor_says_what_to_install(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    monkeypatch.setenv("PATH", "")
    assert tone.find_players() == []
    ok, text = tone.sound_available()
    assert not ok
    assert "install the extra [sound]" in text
