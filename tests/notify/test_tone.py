"""Tones: what is played and when, and silence, in one sentence, where nothing can be heard."""

from __future__ import annotations

import io
import logging
import sys
import types
import wave

import numpy as np
import pytest

from gatecam.notify import tone
from gatecam.notify.tone import ALERT_NOTES_HZ, RATE_HZ, Player, PlayError, ToneSink, chime, command_player
from gatecam.types import EventKind


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


def test_a_player_that_fails_gives_way_to_the_next_for_good(make_event, caplog):
    broken, working = FakePlayer("broken", broken=True), FakePlayer("working")
    sink = ToneSink([broken.player, working.player])
    with caplog.at_level(logging.WARNING):
        for time_s in (0, 10):
            sink.send(make_event(time_s=time_s))
    assert (broken.calls, len(working.sounds)) == (1, 2)
    assert not caplog.records


def test_without_a_working_player_one_sentence_is_said_and_nothing_is_raised(make_event, caplog):
    broken = FakePlayer("aplay", broken=True)
    for players in ([broken.player], []):
        caplog.clear()
        sink = ToneSink(players)
        with caplog.at_level(logging.WARNING):
            for time_s in (0, 10, 20):
                sink.send(make_event(time_s=time_s))
        assert len(caplog.records) == 1
        assert "Alerts are silent" in caplog.text
    assert broken.calls == 1


def test_a_player_that_has_worked_is_tried_again_after_a_failure(make_event):
    fake = FakePlayer()
    sink = ToneSink([fake.player])
    for time_s, fake.broken in ((0, False), (10, True), (20, False)):
        sink.send(make_event(time_s=time_s))
    assert (fake.calls, len(fake.sounds)) == (3, 2)


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
        self.working, self.played = working, []

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
