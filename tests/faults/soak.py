"""`gatecam run` for a long time with a fault every few seconds: `make soak MINUTES=30 EVERY_S=20`.

`gatecam run --web` on two streamed cameras, with a log on a small disk, and a sound player that can be taken
away. Every fault is real: a server that is killed, a reader that is stopped, a disk that is full, commands
that read the store. After each the program must judge frames again within the limit. At the end the log and
the store must have every event that it had printed, and neither its memory nor its open files may have grown.
Prints a line a fault and a verdict; exit code 1 where one fails.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.live import encode
from gatecam.live.health import Health
from gatecam.live.status import ask_all
from gatecam.notify.jsonl import event_to_line
from gatecam.store.engine import SqliteDatabase
from gatecam.store.events import EventFilter, EventStore
from tests.clips import draw_walk, visitor
from tests.streams import MjpegServer, Viewer, free_port, jpeg, noise, part

NORTH_FPS, SOUTH_FPS = 15.0, 10.0
BACK_S = 5.0  # from the return of what failed to verdicts
POLL_S = 0.1
STORE_COMMANDS = (("events", "--format", "csv"), ("report", "--out"), ("privacy",), ("status",))
WARM_UP = 0.25  # share of the run that memory is given to settle


@dataclass(slots=True)
class Outcome:
    """What came of one fault: its name, how long it lasted, and when verdicts came again after it."""

    fault: str
    recovery_s: float
    problem: str = ""


@dataclass(slots=True)
class Sample:
    """What the program, with its readers, held at a time since the start."""

    time_s: float
    memory_mib: float
    open_files: int


@dataclass(slots=True)
class Record:
    """All that was noted."""

    outcomes: list[Outcome] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Entrance:
    """Two cameras whose streams play a walk again and again, and fail as they are told."""

    def __init__(self) -> None:
        looks = ((0.0, "bare"),)
        self.walk = [encode(image) for image in draw_walk([visitor(looks, end_s=8.0)], 12.0, fps=15.0)]
        self.small = [
            encode(image) for image in draw_walk([visitor(looks, end_s=8.0)], 12.0, (320, 240), 10.0)
        ]
        self.north = MjpegServer(plan=lambda viewer: self.play(viewer, self.walk, NORTH_FPS))
        self.south = MjpegServer(plan=lambda viewer: self.play(viewer, self.small, SOUTH_FPS))
        self.spoil: Callable[[Viewer, int], None] | None = None  # called before each picture of the north

    def play(self, viewer: Viewer, pictures: Sequence[bytes], fps: float) -> None:
        """Send pictures round and round, spoilt in the north as long as a fault says so."""
        for index in itertools.count():
            if self.spoil is not None and pictures is self.walk:
                self.spoil(viewer, index)
            else:
                viewer.send(part(pictures[index % len(pictures)]))
                viewer.wait(1 / fps)


class Program:
    """`gatecam run --web` on the two cameras, listened to."""

    def __init__(self, folder: Path, entrance: Entrance, record: Record, settings: str = "") -> None:
        """Start it; `settings` are lines that its settings file gets as well."""
        self.folder, self.record = folder, record
        self.log = folder / "disk" / "events.jsonl"
        self.settings = folder / "config.yaml"
        self.sound = folder / "bin" / "paplay"
        self._write_settings(entrance, settings)
        path = f"{self.sound.parent}{os.pathsep}{os.environ['PATH']}"
        self.env = os.environ | {"XDG_RUNTIME_DIR": f"{folder}", "XDG_DATA_HOME": f"{folder}", "PATH": path}
        self.start()

    def start(self) -> None:
        """Start it; also after it was killed."""
        said = (self.folder / "said.jsonl").open("a")
        words = ["run", "--headless", "--web", "--log-json", "--config", str(self.settings)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gatecam", *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        said.close()
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.endswith("\n"):
                    self.record.printed.append(line)

    def wait_for_silence(self) -> None:
        """All that it printed before it ended has been read."""
        self._listener.join(10)

    def _write_settings(self, entrance: Entrance, more: str) -> None:
        self.sound.parent.mkdir()
        self.sound.write_text("#!/bin/sh\nexit 0\n")
        self.sound.chmod(0o755)
        self.settings.write_text(
            "cameras:\n"
            f"  - {{name: north, source: '{entrance.north.url}'}}\n"
            f"  - {{name: south, source: '{entrance.south.url}'}}\n"
            f"notify: {{log: {self.log}}}\n"
            f"web: {{port: {free_port()}}}\n"
            f"{more}"
        )

    def health(self) -> Health | None:
        """What it says of itself; None while it does not answer."""
        answers = ask_all({"XDG_RUNTIME_DIR": str(self.folder)})
        return next((each.health for each in answers if each.pid == self.process.pid), None)

    @property
    def store(self) -> Path:
        """The file of its events."""
        return self.folder / "gatecam" / "events.sqlite3"

    def stored(self) -> set[str]:
        """The events of its store, as they are printed."""
        with closing(EventStore(SqliteDatabase(self.store, mends=False))) as store:
            return {event_to_line(stored.event) for stored in store.every(EventFilter())}

    def readers(self) -> list[int]:
        """The processes that read the cameras.

        A child that has not begun the reader's program yet is left out. If it is stopped then, `Popen`
        waits for it for ever, and so does gatecam.
        """
        found: list[int] = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*"):
            with suppress(OSError):  # a thread has just ended
                found += map(int, (task / "children").read_text().split())
        return [pid for pid in found if _runs_reader(pid)]

    def sample(self, time_s: float) -> Sample:
        """What it and its readers hold now."""
        pids = [self.process.pid, *self.readers()]
        memory_kib = sum(own_memory_kib(pid) for pid in pids)
        return Sample(time_s, memory_kib / 1024, len(os.listdir(f"/proc/{self.process.pid}/fd")))


def _runs_reader(pid: int) -> bool:
    try:
        return b"gatecam.capture.reader" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return False


class StoreReaders:
    """Commands that read the store, several at a time, each followed by the next until the end."""

    def __init__(self, program: Program, number: int) -> None:
        """Start them."""
        self.done = 0
        self.problems: list[str] = []
        self._program = program
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(index,)) for index in range(number)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End with the commands that run."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, index: int) -> None:
        for command in itertools.islice(itertools.cycle(STORE_COMMANDS), index % len(STORE_COMMANDS), None):
            if self._over.is_set():
                return
            words = ["nice", sys.executable, "-m", "gatecam", *command]  # the run needs the cores more
            if command == ("status",):
                self._run(words, (0, 1, 2))  # nobody answers between a kill and the next start
                continue
            if "--out" in command:
                words.append(str(self._program.folder / f"page-{index}.html"))
            self._run([*words, "--config", str(self._program.settings)], (0,))

    def _run(self, words: list[str], expected: tuple[int, ...]) -> None:
        done = subprocess.run(words, env=self._program.env, capture_output=True, text=True)
        self.done += 1
        if done.returncode not in expected:
            self.problems.append(f"{words[4]} ended with {done.returncode}: {done.stderr.strip()}")


def own_memory_kib(pid: int) -> int:
    """Memory of a process that is its own, in RAM, without what it shares; 0 if it has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        fields = [line.split() for line in lines]
        return sum(int(each[1]) for each in fields if each[0] in ("Private_Clean:", "Private_Dirty:"))
    return 0


# Faults: each breaks something for a while and mends it before it returns --------------------------------


@dataclass(slots=True)
class World:
    """What faults work on."""

    entrance: Entrance
    program: Program
    disk: Path | None  # a file system of its own, if one could be mounted
    patience: float = 1.0  # by which limits of time are multiplied, for machines that do other work as well

    def states(self) -> str:
        """How the cameras are."""
        health = self.program.health()
        return (
            "no answer"
            if health is None
            else ", ".join(f"{c.name} {c.state} {c.reason} {c.age_s}" for c in health.cameras)
        )

    def until(self, holds: Callable[[Health], bool], limit_s: float) -> bool:
        """Whether the program comes to say something of itself within a time."""
        end_s = time.monotonic() + self.patience * limit_s
        while time.monotonic() < end_s:
            health = self.program.health()
            if health is not None and holds(health):
                return True
            time.sleep(POLL_S)
        return False

    def signal_readers(self, number: int) -> None:
        """Signal both readers, once both run."""
        self.until(lambda health: len(self.program.readers()) == 2, 5.0)
        for pid in self.program.readers():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


Fault = Callable[[World], str]  # gives a sentence on what went wrong, or an empty one


def restarts(world: World) -> int:
    """How many readers were replaced since the start."""
    health = world.program.health()
    return 0 if health is None else sum(camera.restarts for camera in health.cameras)


def north(health: Health) -> str:
    """The state of the camera that is spoilt."""
    camera = next(each for each in health.cameras if each.name == "north")
    return camera.reason if camera.state == "blind" else camera.state


@contextmanager
def spoilt(world: World, spoil: Callable[[Viewer, int], None]) -> Iterator[None]:
    """The north's stream sends what `spoil` sends."""
    world.entrance.spoil = spoil
    try:
        yield
    finally:
        world.entrance.spoil = None


def server_killed(world: World) -> str:
    """The camera is off for some seconds."""
    world.entrance.north.kill()
    noticed = world.until(lambda health: north(health) == "lost", 3.0)
    time.sleep(2.0)
    world.entrance.north.start()
    return "" if noticed else "the loss was not noticed within 3 s"


def server_hangs(world: World) -> str:
    """The camera stops in the middle of a picture."""
    half = part(world.entrance.walk[0])[:2000]

    def hang(viewer: Viewer, index: int) -> None:
        viewer.send(half)
        while world.entrance.spoil is hang:
            viewer.wait(0.1)
        raise ConnectionAbortedError

    with spoilt(world, hang):
        noticed = world.until(lambda health: north(health) == "lost", 4.0)
        time.sleep(1.0)
    return "" if noticed else "the hang was not noticed within 4 s"


def garbage(world: World) -> str:
    """Bytes that mean nothing between the pictures, and halves of pictures."""

    def send(viewer: Viewer, index: int) -> None:
        picture = world.entrance.walk[index % len(world.entrance.walk)]
        viewer.send(noise(5000, index))
        viewer.send(part(picture[: len(picture) // 2] if index % 3 == 0 else picture))
        viewer.wait(1 / NORTH_FPS)

    with spoilt(world, send):
        time.sleep(5.0)
    return ""


def drip(world: World) -> str:
    """One byte a second."""

    def send(viewer: Viewer, index: int) -> None:
        viewer.send(part(world.entrance.walk[0])[index % 1000 :][:1])
        viewer.wait(1.0)

    with spoilt(world, send):
        noticed = world.until(lambda health: north(health) == "lost", 5.0)
    return "" if noticed else "the drip was not noticed within 5 s"


def sizes(world: World) -> str:
    """Pictures of many sizes in one stream."""
    pictures = [jpeg(90, width, height) for width, height in ((64, 48), (1920, 1080), (33, 777), (640, 480))]

    def send(viewer: Viewer, index: int) -> None:
        viewer.send(part(pictures[index % len(pictures)]))
        viewer.wait(1 / NORTH_FPS)

    with spoilt(world, send):
        time.sleep(5.0)
    return ""


def too_fast(world: World) -> str:
    """120 pictures a second, more than the analyser takes; frames must be dropped, and stay fresh."""
    dropped: list[int] = []
    ages_s: list[float] = []

    def send(viewer: Viewer, index: int) -> None:
        viewer.send(part(world.entrance.walk[index % len(world.entrance.walk)]))
        viewer.wait(1 / 120)

    with spoilt(world, send):
        for _ in range(5):
            time.sleep(1.0)
            if (health := world.program.health()) is not None:
                camera = next(each for each in health.cameras if each.name == "north")
                dropped.append(camera.dropped)
                ages_s.append(camera.age_s or 0.0)
    if not dropped or dropped[-1] <= dropped[0]:
        return f"no dropped frames were counted ({dropped})"
    return "" if statistics.median(ages_s) < world.patience else f"frames grew old ({ages_s})"


def reader_killed(world: World) -> str:
    """The readers die."""
    before = restarts(world)
    world.signal_readers(signal.SIGKILL)
    noticed = world.until(lambda health: restarts(world) >= before + 2, 3.0)
    return "" if noticed else "killed readers were not replaced within 3 s"


def reader_stopped(world: World) -> str:
    """The readers hang: stopped, they can do nothing at all."""
    world.signal_readers(signal.SIGSTOP)
    noticed = world.until(lambda health: not health.sees, 4.0)
    return "" if noticed else "stopped readers were not noticed within 4 s"


def frozen(world: World) -> str:
    """The same picture again and again."""

    def send(viewer: Viewer, index: int) -> None:
        viewer.send(part(world.entrance.walk[0]))
        viewer.wait(1 / NORTH_FPS)

    with spoilt(world, send):
        noticed = world.until(lambda health: north(health) == "frozen", 12.0)
    return "" if noticed else "the frozen picture was not noticed within 12 s"


def dark(world: World) -> str:
    """The light is out, and the sensor's noise is left."""
    rng = np.random.default_rng(0)
    black = [encode(rng.integers(0, 6, (480, 640, 3), np.uint8)) for _ in range(16)]

    def send(viewer: Viewer, index: int) -> None:
        viewer.send(part(black[index % 16]))
        viewer.wait(1 / NORTH_FPS)

    with spoilt(world, send):
        noticed = world.until(lambda health: north(health) == "dark", 8.0)
    return "" if noticed else "darkness was not noticed within 8 s"


def sound_gone(world: World) -> str:
    """The player fails for some seconds, then hangs, then is back."""
    for words in ("exit 1", "sleep 6"):
        world.program.sound.write_text(f"#!/bin/sh\n{words}\n")
        time.sleep(3.0)
    world.program.sound.write_text("#!/bin/sh\nexit 0\n")
    return ""


def disk_full(world: World) -> str:
    """No space is left where the log is."""
    if world.disk is None:
        return ""
    filler = world.disk / "filler"
    with suppress(OSError), filler.open("wb") as stream:
        while True:
            stream.write(b"x" * 4096)
            stream.flush()
    time.sleep(8.0)
    filler.unlink()
    return ""


def settings_saved(world: World) -> str:
    """Settings are broken, then mended, and SIGHUP is sent at once."""
    good = world.program.settings.read_text()
    world.program.settings.write_text(good + "tracker: {confidence: lots}\n")
    world.program.process.send_signal(signal.SIGHUP)
    refused = world.until(lambda health: any("rejected" in each for each in health.troubles), 3.0)
    world.program.settings.write_text(good)
    world.program.process.send_signal(signal.SIGHUP)
    mended = world.until(lambda health: not health.troubles, 3.0)
    return "" if refused and mended else "settings were not refused, or not mended, within 3 s"


def idle_clients(world: World) -> str:
    """Clients of the status socket that take no answer."""
    path = world.program.folder / "gatecam" / f"{world.program.process.pid}.sock"
    with ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(3.0)
            client.connect(str(path))
        time.sleep(1.0)
    return ""


def store_readers(world: World) -> str:
    """Commands that read the store come and go."""
    readers = StoreReaders(world.program, 4)
    time.sleep(5.0)
    readers.close()
    return "; ".join(readers.problems)


FAULTS: tuple[Fault, ...] = (
    server_killed,
    server_hangs,
    garbage,
    drip,
    sizes,
    too_fast,
    reader_killed,
    reader_stopped,
    frozen,
    dark,
    sound_gone,
    disk_full,
    settings_saved,
    idle_clients,
    store_readers,
)


# The run -------------------------------------------------------------------------------------------


def soak(
    seconds: float,
    every_s: float,
    faults: Sequence[Fault] = FAULTS,
    say: Callable[[str], None] = print,
    rounds: float = math.inf,
    patience: float = 1.0,
) -> Record:
    """Run for a time with a fault every so often, and note what came of it.

    The faults come in turn, in an order of chance, for at most `rounds` times all. Limits of time are
    multiplied by `patience`.
    """
    record = Record()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(small_disk(folder / "disk"))
        entrance = Entrance()
        stack.enter_context(entrance.north)
        stack.enter_context(entrance.south)
        program = Program(folder, entrance, record)
        stack.callback(program.process.kill)
        world = World(entrance, program, disk, patience)
        if not world.until(lambda health: health.sees, 60.0):
            record.problems.append("the program never saw")
            return record
        over = threading.Event()
        sampler = threading.Thread(target=watch_sizes, args=(program, record, over))
        sampler.start()
        try:
            play(world, record, seconds, every_s, faults, say, rounds)
        finally:
            over.set()
            sampler.join()
        end(program, record)
    return record


def play(
    world: World,
    record: Record,
    seconds: float,
    every_s: float,
    faults: Sequence[Fault],
    say: Callable[[str], None],
    rounds: float,
) -> None:
    """One fault after the other until the time is over, or the program has ended."""
    end_s = time.monotonic() + seconds
    rng, left = random.Random(5), []
    while (begun_s := time.monotonic()) < end_s and world.program.process.poll() is None:
        if len(record.outcomes) >= rounds * len(faults):
            return
        left = left or rng.sample(faults, len(faults))
        fault = left.pop()
        problem = fault(world)
        mended_s = time.monotonic()
        back = world.until(is_fresh, 30.0)
        recovery_s = time.monotonic() - mended_s
        if not problem and not (back and recovery_s <= world.patience * BACK_S):
            problem = f"verdicts came {recovery_s:.1f} s after" if back else f"no verdicts: {world.states()}"
        record.outcomes.append(Outcome(fault.__name__, recovery_s, problem))
        say(f"{fault.__name__:15} back after {recovery_s:4.1f} s {problem}")
        time.sleep(max(0.0, begun_s + every_s - time.monotonic()))


def is_fresh(health: Health) -> bool:
    """Whether frames of both cameras were judged just now."""
    return health.sees and all(camera.age_s is not None and camera.age_s < 0.5 for camera in health.cameras)


def watch_sizes(program: Program, record: Record, over: threading.Event) -> None:
    """Note memory and open files every two seconds, and whether the program lives."""
    start_s = time.monotonic()
    while not over.wait(2.0):
        if program.process.poll() is not None:
            record.problems.append(f"the program ended with {program.process.returncode}")
            return
        with suppress(OSError):  # a reader has just ended
            record.samples.append(program.sample(time.monotonic() - start_s))


def end(program: Program, record: Record) -> None:
    """End it as a service manager does, and see that all it printed is in the log."""
    program.process.terminate()
    try:
        code = program.process.wait(30)
    except subprocess.TimeoutExpired:
        record.problems.append("it did not end within 30 s of SIGTERM")
        return
    program.wait_for_silence()
    if code != 0:
        record.problems.append(f"it ended with {code}")
    logged = program.log.read_text().splitlines(keepends=True)
    if logged != record.printed:
        missing = len(set(record.printed) - set(logged))
        record.problems.append(f"log and acknowledged events differ: {missing} are not in the log")
    if missing := len(set(record.printed) - program.stored()):
        record.problems.append(f"{missing} acknowledged events are not in the store")
    if not record.printed:
        record.problems.append("no event came at all")


@contextmanager
def small_disk(place: Path) -> Iterator[Path | None]:
    """A file system of 1 MiB in memory at `place`; only a folder, and None, where none may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def growth(record: Record, what: Callable[[Sample], float]) -> tuple[float, float]:
    """How much something grew over the run after the warm-up (Theil–Sen slope), and its noise.

    The noise is the standard deviation about that line.
    """
    first_s = record.samples[-1].time_s * WARM_UP
    late = [each for each in record.samples if each.time_s >= first_s]
    times_s = np.array([each.time_s for each in late])
    values = np.array([what(each) for each in late])
    i, j = np.triu_indices(len(late), 1)
    slope = float(np.median((values[j] - values[i]) / (times_s[j] - times_s[i])))
    rest = values - slope * times_s
    return slope * float(times_s[-1] - times_s[0]), float(np.std(rest))


def verdict(record: Record) -> list[str]:
    """All that speaks against the run."""
    found = [*record.problems, *(f"{each.fault}: {each.problem}" for each in record.outcomes if each.problem)]
    if len(record.samples) >= 60:
        for name, what, least in (
            ("memory in MiB", lambda each: each.memory_mib, 16.0),
            ("open files", lambda each: float(each.open_files), 1.0),
        ):
            grown, scatter = growth(record, what)
            if grown > max(scatter, least):
                found.append(f"{name} grew by {grown:.1f}, more than its noise of {scatter:.1f}")
    return found


def main() -> None:
    """Soak, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minutes", type=float, nargs="?", default=30.0)
    parser.add_argument("every_s", type=float, nargs="?", default=20.0)
    parser.add_argument("faults", nargs="*", default=[fault.__name__ for fault in FAULTS])
    wanted = parser.parse_args()
    faults = [fault for fault in FAULTS if fault.__name__ in wanted.faults]
    record = soak(wanted.minutes * 60, wanted.every_s, faults, lambda text: print(text, flush=True))
    recoveries_s = [each.recovery_s for each in record.outcomes]
    print(f"{len(record.outcomes)} faults; {len(record.printed)} events, each in the log")
    if recoveries_s:
        median_s, longest_s = statistics.median(recoveries_s), max(recoveries_s)
        print(f"back to verdicts: median {median_s:.1f} s, longest {longest_s:.1f} s")
    if len(record.samples) >= 2:
        for name, what in (
            ("memory", lambda each: each.memory_mib),
            ("files", lambda each: float(each.open_files)),
        ):
            grown, scatter = growth(record, what)
            latest = what(record.samples[-1])
            print(
                f"{name}: {latest:.0f} at the end, grew by {grown:.1f} after the warm-up, noise {scatter:.1f}"
            )
    problems = verdict(record)
    print("\n".join(problems) or "all well")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
