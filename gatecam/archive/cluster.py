"""Run workers on a Ray cluster, or on a Ray that is started on this machine and reachable only from it."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gatecam.archive.parts import Outcome, Part
from gatecam.archive.worker import Load, Loaded, Lost, Worker, load_networks, settings_hash
from gatecam.errors import DeviceError, MissingExtraError, ServiceError
from gatecam.runtime.cores import usable_cores
from gatecam.runtime.logs import say
from gatecam.settings.schema import Config

OBJECTS_BYTES = 200 * 2**20  # of shared memory for what tasks pass to each other, some 5 MB each
START_LIMIT_S = 180  # longest time for a part of Ray to start, which takes long on a busy machine
SHARE_LIMIT_S = 0.5  # longest time for workers to say how far they are
REACH_LIMIT_S = 5.0  # longest time to reach a cluster
TRIES = 5  # to start Ray on this machine. Ray gives one up after 30 s or more if the machine is busy.
DEVICES = Path("/dev")  # each GPU of NVIDIA is nvidia0, nvidia1, …
LONGEST_TEMP = 20  # of 107 characters that the system allows for the name of a socket. Ray adds up to 85.
MOST_LOSSES = 5  # workers that may be lost in a row in one seat
# For a Ray on this machine, which listens only on 127.0.0.1 and requires a token
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_agent_register_timeout_ms": str(1000 * START_LIMIT_S),
    "RAY_gcs_server_port_wait_time_s": str(START_LIMIT_S),
    "RAY_worker_register_timeout_seconds": str(START_LIMIT_S),
}
# Ray sends no statistics to its maker, and hides the GPUs from workers that use none.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1"}


@dataclass(slots=True, eq=False)
class _Seat:
    """Holds a worker, the resources that it takes, and the part that it analyzes, if any."""

    kind: dict[str, int]
    actor: Any = None
    part: Part | None = None
    task: Any = None  # Ray's reference to the result of the part, or of loading the networks
    losses: int = 0  # workers lost in this seat, in a row


class Cluster:
    """Runs workers on a Ray cluster. Each analyzes one part at a time.

    A worker that is lost is replaced by another one, wherever the cluster has room for it.
    """

    def __init__(
        self,
        config: Config,
        address: str | None = None,
        workers: int | None = None,
        gpu_workers: int | None = None,
        load: Load = load_networks,
    ) -> None:
        """Keep the settings, and import Ray.

        Args:
            config: the settings of the analysis.
            address: the address of a running cluster. None starts Ray on this machine.
            workers: the number of workers that use one core each. None uses all cores.
            gpu_workers: the number of workers that use one GPU each. None uses all GPUs.
            load: builds the analyzer in each worker.

        Raises:
            MissingExtraError: Ray is not installed.
        """
        os.environ.update(_QUIET)
        self._config, self._address, self._load = config, address, load
        self._wanted = workers, gpu_workers
        self._on_cpus = config
        self._seats: list[_Seat] = []
        self._stack = ExitStack()
        self.notes: list[str] = []  # the devices of the workers, each with the reason for its choice
        if address is None:
            os.environ.update(_ALONE)  # Ray reads the first of them when it is imported
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("Analyzing archives", "ray") from error
        self._ray: Any = ray

    def __enter__(self) -> Cluster:
        """Start or reach the cluster, start the workers, and wait until one has loaded the networks.

        Raises:
            GatecamError: the cluster cannot be reached, or a worker cannot load the networks.
        """
        try:
            self._connect()
            self._start_workers()
            return self
        except BaseException:
            self._stack.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _connect(self) -> None:
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if self._address is None:
            folder = self._stack.enter_context(
                tempfile.TemporaryDirectory(
                    prefix="gatecam-", dir=_folder_for_sockets(), ignore_cleanup_errors=True
                )
            )
            options |= {
                "num_cpus": self._cores(),
                "include_dashboard": False,
                "object_store_memory": OBJECTS_BYTES,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": folder,
            }
        self._require_listener()
        self._stack.callback(self._ray.shutdown)
        before = signal.getsignal(signal.SIGTERM)
        for tries_left in reversed(range(TRIES)):
            try:
                self._ray.init(address=self._address or "local", **options)
                signal.signal(signal.SIGTERM, before)  # Ray's own handler prints the stack and aborts
                return
            except Exception as error:  # Ray raises many kinds, also bare ones
                self._ray.shutdown()
                if not tries_left or self._address is not None:
                    raise self._cannot_connect(error) from error
                say(f"Ray did not start ({_first_line(error)}); try {TRIES - tries_left + 1} of {TRIES}…")

    def _cores(self) -> int:
        """Return how many cores Ray on this machine may use. A worker on a GPU takes one of them too."""
        workers, gpus = self._wanted
        if workers is None:
            return usable_cores()
        return max(1, workers + (len([*DEVICES.glob("nvidia[0-9]*")]) if gpus is None else gpus))

    def _require_listener(self) -> None:
        """Check that something listens at the address, because Ray would try for minutes.

        Raises:
            ServiceError: nothing listens there.
        """
        host, _, port = (self._address or "").rpartition(":")
        if port.isdecimal() and "/" not in host:
            try:
                socket.create_connection((host, int(port)), REACH_LIMIT_S).close()
            except OSError as error:
                raise self._cannot_connect(error) from error

    def _cannot_connect(self, error: Exception) -> ServiceError:
        reason = _first_line(error)
        if self._address is None:
            return ServiceError(
                f"Ray does not start on this machine ({reason}): if other programs keep all cores busy, end "
                "them or try again when they are done. Finished recordings are not analyzed again."
            )
        return ServiceError(
            f"Ray at {self._address} cannot be used ({reason}): check the address, and that every machine "
            "has the same Ray and gatecam."
        )

    def _start_workers(self) -> None:
        there = self._ray.cluster_resources()
        workers, gpus = self._wanted
        gpus = int(there.get("GPU", 0)) if gpus is None else gpus
        workers = max(0 if gpus else 1, int(there.get("CPU", 0)) - gpus) if workers is None else workers
        if gpus > there.get("GPU", 0) or workers + gpus > there.get("CPU", 0):
            raise DeviceError(
                f"the cluster has {there.get('CPU', 0):.0f} cores and {there.get('GPU', 0):.0f} GPUs, too "
                f"few for {workers} workers and {gpus} on a GPU; change --workers or --gpu-workers."
            )
        if not workers + gpus:
            raise DeviceError("there are no workers; give at least one with --workers or --gpu-workers.")
        kinds = [{"num_cpus": 1}] * workers + [{"num_cpus": 1, "num_gpus": 1}] * gpus
        self._seats = [_Seat(kind) for kind in kinds]
        self._fill(self._seats[0])
        done, _ = self._ray.wait([self._seats[0].task], timeout=START_LIMIT_S)
        if not done:
            say("no worker has started yet: the cluster may be busy with other work; waiting…")
        first, _ = self._result(self._seats[0].task)
        if not isinstance(first, Loaded):
            raise ServiceError("a worker ended while it loaded the networks; check its memory.")
        self._note(first)
        if workers and self._config.device == "auto":  # else each would choose what is fastest at that moment
            self._on_cpus = self._config.model_copy(update={"device": first.device})
        for seat in self._seats[1:]:
            self._fill(seat)

    def _fill(self, seat: _Seat) -> None:
        """Start a worker, and let it load the networks."""
        seat.actor = self._ray.remote(Worker).options(max_concurrency=2, **seat.kind)
        config = self._config if "num_gpus" in seat.kind else self._on_cpus
        seat.actor = seat.actor.remote(config, 1, self._load)
        seat.task = seat.actor.load.remote()

    @property
    def has_gpus(self) -> bool:
        """Return whether a worker may compute on a GPU."""
        return self._wanted[1] != 0 and self._ray.cluster_resources().get("GPU", 0) > 0

    @property
    def size(self) -> int:
        """Return how many workers there are."""
        return len(self._seats)

    @property
    def is_free(self) -> bool:
        """Return whether a worker waits for a part."""
        return any(seat.task is None for seat in self._seats)

    def submit(self, part: Part) -> None:
        """Give a part to a worker that is free."""
        seat = next(seat for seat in self._seats if seat.task is None)
        seat.part, seat.task = part, seat.actor.analyze.remote(part)

    def finished(self, timeout_s: float) -> list[tuple[Part, Outcome | Lost, str]]:
        """Wait for parts that are done, and return each with its outcome and the device that computed it.

        Raises:
            GatecamError: a worker cannot load the networks, or the cluster is gone.
        """
        busy = {seat.task: seat for seat in self._seats if seat.task is not None}
        done, _ = self._ray.wait(list(busy), num_returns=len(busy), timeout=0)
        if not done and busy:
            done, _ = self._ray.wait(list(busy), timeout=timeout_s)
        found: list[tuple[Part, Outcome | Lost, str]] = []
        for task in done:
            seat = busy[task]
            part, seat.part, seat.task = seat.part, None, None
            result, device = self._result(task)
            seat.losses = seat.losses + 1 if isinstance(result, Lost) else 0
            if isinstance(result, Lost) and seat.losses > MOST_LOSSES:
                raise ServiceError(
                    f"workers end again and again ({result.reason}); check their memory and Ray's logs."
                )
            if isinstance(result, Lost):
                self._fill(seat)
            if isinstance(result, Loaded):
                self._note(result)
            elif part is not None:
                found.append((part, result, device))
        return found

    def _result(self, task: Any) -> tuple[Outcome | Lost | Loaded, str]:
        try:
            result = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:  # a part that gatecam cannot analyze ends alone
            return Outcome(error=f"could not be analyzed ({_first_line(error.cause)}); report this."), ""
        except self._ray.exceptions.RaySystemError as error:
            raise ServiceError(f"the Ray cluster is gone ({_first_line(error)}); start it again.") from error
        except self._ray.exceptions.RayError as error:
            return Lost(_first_line(error)), ""
        return result if isinstance(result, tuple) else (result, "")

    def _note(self, loaded: Loaded) -> None:
        if loaded.error is not None:
            raise DeviceError(loaded.error)
        if loaded.settings not in (settings_hash(self._config), settings_hash(self._on_cpus)):
            raise DeviceError(
                "a worker has another version of gatecam or other weights; install the same on every machine."
            )
        if not any(note.startswith(f"{loaded.device}: ") for note in self.notes):
            self.notes.append(f"{loaded.device}: {loaded.reason}")

    def shares(self) -> dict[Part, float]:
        """Return the share, 0 to 1, that is done of each part whose worker answers in time."""
        asked = {seat.actor.share.remote(): seat.part for seat in self._seats if seat.part is not None}
        done, _ = (
            self._ray.wait(list(asked), num_returns=len(asked), timeout=SHARE_LIMIT_S) if asked else ([], 0)
        )
        shares = {}
        for task in done:
            try:
                shares[asked[task]] = self._ray.get(task)
            except self._ray.exceptions.RayError:
                continue  # the worker is lost, as `finished` finds out
        return shares


def _folder_for_sockets() -> str:
    """Return the folder for temporary files, or /tmp if its name is too long for the sockets of Ray."""
    folder = tempfile.gettempdir()
    return folder if len(folder) <= LONGEST_TEMP else "/tmp"


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
