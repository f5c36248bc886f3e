"""Build the parts of gatecam from the settings.

No other module builds parts from settings. Parts that need the date and time get the clock from here.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from gatecam.capture.camera import Cameras
from gatecam.errors import ConfigError, DeviceError, MissingExtraError, OutputError
from gatecam.kiosk.notify_socket import Notifier
from gatecam.kiosk.restarts import in_service
from gatecam.live.board import Board
from gatecam.live.camera_alerts import CameraAlerts
from gatecam.live.control import Running
from gatecam.live.notes import Endings, NoteWriter
from gatecam.live.parts import CameraLocks, Live, LiveSinks
from gatecam.live.reload import Reloading, with_source
from gatecam.live.reports import CameraLog, Supervised, Troubles, tell_pace
from gatecam.live.status import StatusServer
from gatecam.live.watch import Watch
from gatecam.notify.command import CommandOutput
from gatecam.notify.jsonl import JsonLinesSink
from gatecam.notify.log import DurableSink, LogFile
from gatecam.notify.mqtt import MqttOutput
from gatecam.notify.queue import FanOut, QueuedSink
from gatecam.notify.sound import SoundSink
from gatecam.notify.trial import send_test
from gatecam.people.keyframes import KeyFrames
from gatecam.people.pipeline import People, Pipeline, timed
from gatecam.people.policy import AlertPolicy
from gatecam.people.presence import Presences
from gatecam.people.tracker import FaceTracker
from gatecam.ports import CropClassifier, FaceAnalyzer, FaceFinder, Output, Sink
from gatecam.runtime.cores import set_threads
from gatecam.runtime.folders import STORE, state_folder
from gatecam.runtime.locks import Turn
from gatecam.runtime.logs import say
from gatecam.runtime.stopping import Stop
from gatecam.runtime.telemetry import Telemetry
from gatecam.runtime.wall_clock import now, running_s
from gatecam.settings.loading import LoadedConfig
from gatecam.settings.schema import TRIAL, Config
from gatecam.store.evidence import EvidenceFolder
from gatecam.types import CameraState, Event, EventKind, Step

# What not every start needs is imported where it is used, because it takes up to a fifth of a second to load
if TYPE_CHECKING:
    from gatecam.capture.recording import Recording
    from gatecam.live.camera_setup import CameraSetup
    from gatecam.live.evidence import Recorder
    from gatecam.live.screen import Screen
    from gatecam.live.window import Window
    from gatecam.store.events import EventStore
    from gatecam.store.outbox import Courier
    from gatecam.vision.analyzer import NetworkAnalyzer
    from gatecam.web.server import WebServer
    from gatecam.web.site import Site

FLEET_STORE = "fleet.sqlite3"  # name of the file that holds alerts about doors
LAST_MS = 2**62  # later than every event


def build_analyzer(
    config: Config, telemetry: Telemetry, before_networks: Callable[[], None] = lambda: None
) -> NetworkAnalyzer:
    """Build the detector and classifier on the device from the settings. Loading takes seconds.

    `before_networks` is called when the libraries are imported, and only the networks remain to be loaded.

    Raises:
        DeviceError: the device is missing, or torch and torchvision do not fit together.
        ModelError: the weights are missing, changed or of another kind.
    """
    with _torch_loads():
        from gatecam.vision.analyzer import NetworkAnalyzer

        return NetworkAnalyzer(config, telemetry, before_networks)


def build_crop_classifier(config: Config) -> CropClassifier:
    """Build the classifier for cropped faces. It raises the same errors as `build_analyzer`."""
    return build_analyzer(config, Telemetry())


def build_finder(config: Config, thorough: bool = False) -> FaceFinder:
    """Build the finder of everything that may be a face and must be blurred.

    It raises the same errors as `build_analyzer`. With `thorough` it finds more but takes ten times as long,
    which suits single pictures.
    """
    with _torch_loads():
        from gatecam.vision.finder import LowFaceFinder

        return LowFaceFinder(config, thorough)


@contextmanager
def _torch_loads() -> Iterator[None]:
    """Set the number of threads before the networks load, and explain a torch that cannot be imported."""
    set_threads()
    try:
        yield
    except (ImportError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "torchvision" not in str(error):
            raise
        raise DeviceError(
            f"torch and torchvision do not load ({error}): install a matching pair with "
            "`pip install --upgrade torch torchvision`."
        ) from error


def build_pipeline(
    config: Config,
    analyzer: FaceAnalyzer,
    camera: str,
    telemetry: Telemetry,
    batch: int = 1,
    whole: bool = False,
) -> Pipeline:
    """Build one camera's pipeline with its own tracker, policy and key frames.

    If `whole` is set, or the settings search every frame whole, the pipeline has no key frames and analyzes
    `batch` frames at once.
    """
    tracker, policy = FaceTracker(config.tracker), AlertPolicy(config.policy, camera)
    whole = whole or config.detector.detect_every == 1
    planner = None if whole else KeyFrames(config.detector, telemetry)
    return Pipeline(analyzer, tracker, policy, telemetry, batch, planner, config.detector.ignore)


@dataclass(frozen=True, slots=True)
class Replay:
    """Holds a recording and the iterator `steps`, which yields one step for each frame."""

    recording: Recording
    steps: Iterator[Step]


@contextmanager
def open_replay(
    config: Config, path: Path, analyzer: FaceAnalyzer, telemetry: Telemetry, camera: str | None = None
) -> Iterator[Replay]:
    """Replay a video file or a folder of pictures. A separate thread decodes frames ahead.

    The camera's name defaults to the name of the file or folder. A GPU searches every frame whole, in batches
    (`docs/adr/0018-on-a-gpu.md`).

    Raises:
        SourceError: nothing can be read from `path`.
    """
    from gatecam.capture.prefetch import prefetch
    from gatecam.capture.recording import open_recording

    on_gpu = analyzer.device == "cuda"
    recording = open_recording(path, config.replay.image_fps, camera, on_gpu and config.replay.hardware)
    batch = config.replay.batch
    with (
        recording as frames,
        closing(prefetch(timed(frames, telemetry), 2 * batch, attrgetter("pixels"))) as ahead,
    ):
        pipeline = build_pipeline(config, analyzer, recording.camera, telemetry, batch, whole=on_gpu)
        yield Replay(recording, pipeline.steps(ahead))


@contextmanager
def open_live(
    config: Config,
    load: Callable[[], FaceAnalyzer],
    telemetry: Telemetry,
    on_state: Callable[[str, CameraState], None] = lambda name, state: None,
    wait: bool = False,
) -> Iterator[Live]:
    """Open the cameras from the settings and watch them.

    Args:
        config: the settings of the cameras and their pipelines.
        load: returns what detects and classifies the faces of all cameras. It runs while the cameras open.
        telemetry: records times and counts.
        on_state: called with a camera's name and state whenever the state changes, in the thread that
            iterates over the rounds.
        wait: wait for missing cameras without a limit, as the service does.

    Raises:
        CameraError: another gatecam uses a camera, or, without `wait`, the only one cannot be opened.
    """
    alerts = CameraAlerts(config.pace)

    def note(name: str, state: CameraState) -> None:
        if name == TRIAL:
            return
        alerts.note(name, state)
        on_state(name, state)

    watched = config.watched
    with ExitStack() as stack:
        locks = stack.enter_context(closing(CameraLocks()))
        for one in watched:
            locks.take(one.camera)
        cameras = Cameras([one.camera for one in watched], note, wait)
        stack.callback(cameras.close)
        cameras.start()
        analyzer = load()
        frames = stack.enter_context(cameras)
        build = partial(_camera_pipeline, analyzer=analyzer, telemetry=telemetry)
        pipelines = {one.camera.name: build(one) for one in watched}
        watch = Watch(analyzer, pipelines, alerts, telemetry)
        rounds, names = watch.rounds(frames), list(pipelines)
        yield Live(cameras, alerts, rounds, analyzer, pipelines, locks, build, names=names)


def _camera_pipeline(config: Config, analyzer: FaceAnalyzer, telemetry: Telemetry) -> Pipeline:
    return build_pipeline(config, analyzer, config.camera.name, telemetry)


def build_live_sinks(
    config: Config,
    telemetry: Telemetry,
    print_events: bool,
    on_trouble: Callable[[str, str | None], None] = lambda name, text: None,
) -> LiveSinks:
    """Build the sinks for live events: the store, the outputs that read from it, the log and the sound.

    An event is printed only after it is on the disk, in the store and in the log if there is one. So a
    printed event is an acknowledged event. The sound does not wait for the disk. `on_trouble` is called with
    an output's name and what is wrong with it, and with None when that is over.

    Raises:
        OutputError: the store or the event log cannot be written, or another gatecam writes to the log.
        MissingExtraError: an output needs a library that is not installed.
    """
    from gatecam.store.keeping import Housekeeping
    from gatecam.store.totals import ClassTotals

    file = None if config.notify.log is None else LogFile(Path(config.notify.log))
    with ExitStack() as stack:
        stores = open_stores(config, create=True)
        store = stores[0]
        stack.callback(store.close)
        notes = NoteWriter()
        stack.callback(notes.close)
        recording = stack.enter_context(ExitStack())  # of a recorder that may be started later
        cameras = [one.camera.name for one in config.watched]
        mqtt, outputs = _build_outputs(config, cameras)
        couriers = _start_couriers(config, stores, outputs, telemetry, on_trouble, stack)
        tests: dict[str, Callable[[], None]] = {one.name: partial(send_test, one, cameras) for one in outputs}
        totals = ClassTotals(now())
        files = [Path(path) for path in (store_path(config), config.notify.log) if path is not None]
        evidence = (evidence_folder(config), config.evidence)
        keeping = Housekeeping(
            stores, config.store, totals, now, running_s, on_trouble, files, evidence=evidence
        )
        stack.callback(keeping.close)
        player = _build_player(config, store, notes)
        queues, told = _start_queues(config, store, file, telemetry, print_events, on_trouble, player)
        if player is not None:
            tests["sound"] = player.test
        stack.callback(told.close)  # closes before the couriers, which may still deliver its last events
        endings = Endings(lambda key, at_ms: notes.write(partial(store.notes.end, key, at_ms)))
        presence = Presences([one.note for one in (mqtt, player) if one is not None])
        start = partial(
            _start_recorder,
            store=store,
            mqtt=mqtt,
            telemetry=telemetry,
            on_trouble=partial(on_trouble, "evidence"),
            stack=recording,
        )
        parts: tuple[QueuedSink | Courier, ...] = (*queues, *couriers)
        copies, own = tuple(stores[1:]), stack.pop_all()
        sinks = LiveSinks(
            parts, told, totals, presence, tests, endings, copies, keeping, start, cameras, mqtt, own
        )
        sinks.record(config)
        return sinks


def _start_queues(
    config: Config,
    store: EventStore,
    file: LogFile | None,
    telemetry: Telemetry,
    print_events: bool,
    on_trouble: Callable[[str, str | None], None],
    player: SoundSink | None,
) -> tuple[list[QueuedSink], Sink]:
    """Start the queues before the store, the event log, the printing and the sound.

    Return them, and the sink that passes events to all of them. Closing it closes them.
    """
    size = config.notify.queue
    queues: list[QueuedSink] = []
    told: Sink = FanOut([])
    if print_events:
        told = QueuedSink(JsonLinesSink(sys.stdout), size, "print", telemetry)
        queues.append(told)
    if file is not None:
        told = DurableSink(file, told, size, "log", telemetry, partial(on_trouble, "log"))
        queues.append(told)
    told = DurableSink(store, told, size, "store", telemetry, partial(on_trouble, "store"))
    queues.append(told)
    if player is not None:
        sound = QueuedSink(player, size, "sound", telemetry)
        queues.append(sound)
        told = FanOut([told, sound])
    return queues, told


def _build_player(config: Config, store: EventStore, notes: NoteWriter) -> SoundSink | None:
    """Build the player of sounds, or return None if there is to be no sound. It notes what it played."""
    if not config.notify.sound:
        return None

    def played(event: Event, said: str) -> None:
        notes.write(partial(store.notes.say, event.key, said))

    return SoundSink(config.sound, lambda: now().time(), on_played=played)


def _start_recorder(
    config: Config,
    store: EventStore,
    mqtt: MqttOutput | None,
    telemetry: Telemetry,
    on_trouble: Callable[[str | None], None],
    stack: ExitStack,
) -> Recorder:
    """Start the recorder of pictures of alerts. `stack` ends it."""
    from gatecam.live.evidence import Recorder

    recorder = Recorder(
        config,
        evidence_folder(config),
        lambda: (build_finder(config), build_finder(config, thorough=True)),
        lambda key: bool(store.notes.known([key])),
        telemetry,
        on_trouble,
    )
    stack.callback(recorder.close)
    if mqtt is not None and config.mqtt.snapshots:
        recorder.saved = mqtt.show
    return recorder


def _build_outputs(config: Config, cameras: Sequence[str]) -> tuple[MqttOutput | None, list[Output]]:
    """Build all outputs of the settings. The one for MQTT is also returned by itself.

    MQTT publishes the state of `cameras`. The program that watches many doors has none.
    """
    picture = evidence_folder(config).wait_for
    mqtt = None
    if config.mqtt.host is not None:
        mqtt = MqttOutput(config.mqtt, cameras, _identity(config))
    outputs: list[Output] = [] if mqtt is None else [mqtt]
    if config.webhook.url is not None:
        from gatecam.notify.webhook import WebhookOutput

        outputs.append(WebhookOutput(config.webhook, time.time, picture))
    if config.command.run:
        outputs.append(CommandOutput(config.command, time.time))
    if config.chat.urls_file is not None:
        from gatecam.notify.chat import chat_outputs

        outputs += chat_outputs(config.chat, picture)
    return mqtt, outputs


def _start_couriers(
    config: Config,
    stores: Sequence[EventStore],
    outputs: Sequence[Output],
    telemetry: Telemetry,
    on_trouble: Callable[[str, str | None], None],
    stack: ExitStack,
) -> list[Courier]:
    """Start the couriers that carry events from the first store to its copies and to all outputs."""
    from gatecam.store.outbox import Courier, DatabaseCopy, close_all

    store, *copies = stores
    path = store_path(config)
    turn = Turn(path.with_name(f"{path.name}.lock"))
    stack.callback(turn.end)
    begin = partial(Courier, store, telemetry=telemetry, on_trouble=on_trouble, is_our_turn=turn.is_ours)
    couriers = [begin(DatabaseCopy(copy), from_start=True) for copy in copies]  # queries read the copy alone
    couriers += [begin(output) for output in outputs]
    stack.callback(close_all, couriers)
    return couriers


def _identity(config: Config) -> str:
    """Return a text that identifies this gatecam and stays the same at each start.

    No other gatecam has the same text, because no two of them can use the same cameras. The program that
    watches many doors has a store of its own.
    """
    machine = Path("/etc/machine-id")
    parts = [machine.read_text(encoding="ascii").strip() if machine.is_file() else "", socket.gethostname()]
    parts += [str(store_path(config).absolute())]
    parts += [f"{one.camera.name} {one.camera.source}" for one in config.watched]
    return "\n".join(parts)


def build_site(config: Config, running: Running) -> Site:
    """Build the web pages. The returned context manager serves them while its block runs.

    Raises:
        ConfigError: the texts of the door page cannot be read.
        MissingExtraError: the libraries for the pages are not installed.
        OutputError: the tokens, the certificate or the store cannot be used.
    """
    try:
        from gatecam.web.painter import ProcessPainter
        from gatecam.web.site import Site
    except ImportError as error:
        raise MissingExtraError("Serving pages", "web") from error
    from gatecam.store.engine import SqliteDatabase
    from gatecam.store.events import EventStore

    store = EventStore(SqliteDatabase(store_path(config)))
    return Site(config, state_folder(), store, evidence_folder(config), running, ProcessPainter(config))


def watch(
    loaded: LoadedConfig, source: str | None, headless: bool, web: bool, stop: Stop, full_screen: bool = False
) -> tuple[People, Telemetry]:
    """Watch the cameras until `stop`, a key or the window's button ends it. Return who came and the times.

    Args:
        loaded: the settings, and the file from which they are read again.
        source: the only camera to watch, or None for the cameras of the settings.
        headless: whether to open no window.
        web: whether to serve the pages even if the settings do not say so.
        stop: passes on requests to end and to read the settings again.
        full_screen: whether the window begins in full screen.

    Raises:
        CameraError: another gatecam uses a camera, or the only camera cannot be opened outside a service.
        OutputError: the store or the event log cannot be written, or another gatecam writes to the log.
    """
    config = with_source(loaded.config, source)
    for sentence in config.exposed(is_served=web or config.web.enabled):
        say(sentence, level=logging.WARNING)
    telemetry, people, notifier = Telemetry(), People(), Notifier()
    with ExitStack() as stack:
        window = None if headless else _open_window(stack, full_screen)
        troubles = Troubles()
        live, sinks = _open(config, telemetry, window is None, troubles, stack)
        screen = None if window is None else _build_screen(window, stop, config)
        board = Board(live, live.analyzer, sinks, troubles.sentences, store_path(config).parent)
        stack.enter_context(StatusServer(board.health))
        reloading = Reloading(loaded, source, live, screen, notifier, troubles)
        reloading.observers += [sinks.apply, *_report_health(config, sinks, board, troubles, stack)]
        setup, pages = _build_setup(reloading, live), None
        if web or config.web.enabled:
            running = _running(board, telemetry, reloading, setup, sinks.tests, partial(troubles.note, "web"))
            pages = stack.enter_context(_serve(config, running))
            sinks.presence.add(pages.tell)
            reloading.viewers.append(pages.apply)
        stop.reach(live.stop, reloading.ask)
        _say_start(live, live.analyzer)
        notifier.ready()
        supervised = Supervised(notifier)
        for turn in live.rounds:
            setup.note(turn)
            if pages:
                pages.note(turn)
            turn = turn.without(TRIAL)
            for step in turn.steps:
                people.add(step)
            sinks.note(turn, live.alerts)
            tell_pace(turn, live, live.analyzer, troubles)
            board.note(turn)
            if screen:
                screen.show(turn, live)
            supervised.note(turn, live)
            reloading.poll(turn.time_s)
        notifier.stopping()
        telemetry.count("frames_dropped", live.cameras.dropped)
    return people, telemetry


def _report_health(
    config: Config, sinks: LiveSinks, board: Board, troubles: Troubles, stack: ExitStack
) -> list[Callable[[Config], None]]:
    """Report the health to each copy of the events. Return what takes new settings."""
    if not sinks.copies:
        return []
    from gatecam.live.door_reports import DoorReporter

    on_trouble = partial(troubles.note, "health reports")
    reporters = [DoorReporter(copy.doors, board.health, config, on_trouble) for copy in sinks.copies]
    for reporter in reporters:
        stack.callback(reporter.close)
    return [reporter.apply for reporter in reporters]


def _open(
    config: Config, telemetry: Telemetry, print_events: bool, troubles: Troubles, stack: ExitStack
) -> tuple[Live, LiveSinks]:
    """Open the cameras, and meanwhile load the networks and open the sinks.

    The sinks' libraries are imported while the networks load, and not while other libraries are imported,
    because only one thread at a time can do that.
    """
    opened: list[LiveSinks] = []

    def load() -> NetworkAnalyzer:
        begun: list[Future[LiveSinks]] = []
        with ThreadPoolExecutor(1, "sinks") as pool:

            def begin() -> None:
                begun.append(pool.submit(build_live_sinks, config, telemetry, print_events, troubles.note))

            try:
                analyzer = build_analyzer(config, telemetry, begin)
                if not begun:  # a fake imports nothing
                    begin()
                return analyzer
            finally:
                for soon in begun:
                    opened.append(soon.result())
                    stack.callback(opened[0].close)  # after the cameras are closed

    live = stack.enter_context(open_live(config, load, telemetry, CameraLog(), wait=in_service()))
    return live, opened[0]


def _open_window(stack: ExitStack, full_screen: bool) -> Window | None:
    from gatecam.live.window import open_window

    return open_window(stack, full_screen)


def _build_screen(window: Window, stop: Callable[[], None], config: Config) -> Screen:
    from gatecam.live.screen import Screen

    return Screen(window, stop, config)


def _build_setup(reloading: Reloading, live: Live) -> CameraSetup:
    from gatecam.live.camera_setup import CameraSetup

    return CameraSetup(reloading, live)


def _say_start(live: Live, analyzer: FaceAnalyzer) -> None:
    say(f"watching camera {', '.join(camera.name for camera in live.cameras.cameras)}; Ctrl-C ends")
    say(f"the networks run on {analyzer.device}: {analyzer.reason}")


def _running(
    board: Board,
    telemetry: Telemetry,
    reloading: Reloading,
    setup: CameraSetup,
    tests: Mapping[str, Callable[[], None]],
    on_trouble: Callable[[str], None],
) -> Running:
    return Running(
        board.health,
        telemetry.histograms,
        reloading.settings,
        reloading.change,
        reloading.ignored,
        reloading.ignore,
        setup,
        tests,
        on_trouble,
    )


@contextmanager
def _serve(config: Config, running: Running) -> Iterator[Site]:
    with build_site(config, running) as site:
        own, *others = site.urls
        named = "".join(f", for other machines at {url}" for url in others)
        say(f"the pages are at {own} and {own}door{named}; `gatecam token` prints the access token")
        yield site


def watch_fleet(config: Config, stop: Stop) -> None:
    """Serve the page of all doors, and send alerts about silent doors, until `stop` ends it.

    The alerts are stored in a file of their own beside the store, so that each reaches every output.

    Raises:
        ConfigError: the database has no address.
        MissingExtraError: a library that is needed is not installed.
        OutputError: the database cannot be used and no service manager would wait for it, another
            gatecam fleet runs here, or a file or the pages' address cannot be used.
    """
    for sentence in config.exposed():
        say(sentence, level=logging.WARNING)
    server = open_shared_store(config)
    ended = threading.Event()
    with ExitStack() as stack:
        stack.callback(server.close)
        try:
            say(f"{len(server.doors.all())} doors report to {server.name}; Ctrl-C ends")
        except OutputError as error:
            if not in_service():  # a service may start before its database
                raise
            say(str(error), level=logging.WARNING)
        site = stack.enter_context(_open_fleet(config, server, stack))
        say(f"the page of all doors is at {site.url}; `gatecam token` prints the access token")
        stop.reach(ended.set)
        notifier = Notifier()
        notifier.ready()
        ended.wait()
        notifier.stopping()


def _open_fleet(config: Config, server: EventStore, stack: ExitStack) -> WebServer:
    """Watch the doors, start the outputs of alerts, and build the pages. `stack` ends all of it."""
    try:
        from gatecam.web.fleet_page import build_fleet_app
    except ImportError as error:
        raise MissingExtraError("Serving pages", "web") from error
    from gatecam.fleet.silence import Silences
    from gatecam.fleet.watch import GAP_S, FleetWatch
    from gatecam.store.keeping import Housekeeping
    from gatecam.store.totals import ClassTotals
    from gatecam.web.server import WebServer
    from gatecam.web.tokens import load_tokens

    pages = open_shared_store(config)  # with its own connections, as statistics may keep them busy for long
    stack.callback(pages.close)
    config = fleet_config(config)
    path = store_path(config)
    (store,) = stores = open_stores(config, create=True)
    stack.callback(store.close)
    turn = Turn(path.with_name(f"{path.name}.watch.lock"))
    stack.callback(turn.end)
    if not turn.is_ours():
        raise OutputError(
            f"{path}: another `gatecam fleet` uses it: end that program, or set another store.path."
        )
    troubles = Troubles()
    _, outputs = _build_outputs(config, ())
    _start_couriers(config, stores, outputs, Telemetry(), troubles.note, stack)
    keeping = Housekeeping(stores, config.store, ClassTotals(now()), now, running_s, troubles.note, [path])
    stack.callback(keeping.close)
    latest = [one.event for one in store.latest_of_each(LAST_MS)]
    told = [event.camera for event in latest if event.kind is EventKind.DOOR_SILENT]
    silences = Silences(config.fleet.silent_s, GAP_S, told)
    watch = FleetWatch(server, silences, store.send, partial(troubles.note, "database"), now)
    stack.callback(watch.close)
    folder = state_folder()
    app = build_fleet_app(
        config.web, load_tokens(folder), watch, troubles.sentences, pages, store.audit, folder
    )
    return WebServer(app, config.web, partial(troubles.note, "web"))


def fleet_config(config: Config) -> Config:
    """Return the settings of `gatecam fleet` itself, whose store is a file beside that of a door."""
    path = store_path(config).with_name(FLEET_STORE)
    store = config.store.model_copy(update={"path": str(path), "url": None})
    return config.model_copy(update={"store": store})


def store_path(config: Config) -> Path:
    """Return the path of the store's file."""
    return state_folder() / STORE if config.store.path is None else Path(config.store.path)


def evidence_folder(config: Config) -> EvidenceFolder:
    """Return the folder of the pictures and videos of alerts, beside the store's file."""
    path = store_path(config)
    return EvidenceFolder(path.with_name(f"{path.name}.evidence"))


def has_store_file(config: Config) -> bool:
    """Check whether anything exists at the path of the store's file.

    An unreadable folder counts as existing. Opening the store then reports what is wrong.
    """
    try:
        store_path(config).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # this user may not read the folder
        return True
    return True


def open_store(config: Config, door: str | None = None) -> EventStore:
    """Open the store for queries: the database at `store.url` if it is set, else the file.

    `door` is the door whose events are read in the database, by default this one. With "" it is all doors.

    Raises:
        OutputError: there is no file yet, or it cannot be opened.
        MissingExtraError: the library for PostgreSQL is not installed.
    """
    return _open_server(config, config.fleet.door_name if door is None else door) or open_local_store(config)


def open_local_store(config: Config) -> EventStore:
    """Open the store's file, which alone has the operator's answers. It raises as `open_store` does."""
    store = open_file(config)
    if store is None:
        raise OutputError(
            f"{store_path(config)}: there is no store yet: `gatecam run` creates it, or choose another "
            "store.path."
        )
    return store


def open_stores(config: Config, create: bool = False) -> list[EventStore]:
    """Open the store's file and the database at `store.url`, as far as there are any.

    It raises the same errors as `open_store`. With `create`, the file is created or mended if needed.
    """
    server = _open_server(
        config, config.fleet.door_name
    )  # connects to nothing yet, so an error here leaves nothing open
    return [store for store in (open_file(config, create), server) if store is not None]


def open_file(config: Config, create: bool = False) -> EventStore | None:
    """Open the store's file. Return None if there is none and `create` is false."""
    if not (create or has_store_file(config)):
        return None
    from gatecam.store.engine import SqliteDatabase
    from gatecam.store.events import EventStore

    return EventStore(SqliteDatabase(store_path(config), mends=create))


def open_shared_store(config: Config, door: str = "") -> EventStore:
    """Open the database that many doors share, for the events of `door`, or of all doors if it is empty.

    Raises:
        ConfigError: the settings name none.
        MissingExtraError: the library for PostgreSQL is not installed.
    """
    if (server := _open_server(config, door)) is None:
        raise ConfigError("store.url: name the database that the doors share there, or with --store.")
    return server


def _open_server(config: Config, door: str) -> EventStore | None:
    if config.store.url is None:
        return None
    from gatecam.store.engine import PostgresDatabase
    from gatecam.store.events import EventStore

    return EventStore(PostgresDatabase(config.store.url), door)
