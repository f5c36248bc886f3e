"""Define the exceptions that gatecam raises.

GatecamError            any error that a user can fix
├── ConfigError         a setting is unknown, out of bounds or unreadable
├── ConflictError       somebody else has changed the same thing meanwhile
├── SourceError         a video, folder or picture cannot be read
│   └── CameraError     a camera cannot be opened or gives no picture
├── OutputError         a file or folder cannot be written
├── ModelError          weights are missing, changed or of another kind
├── DeviceError         a requested device is missing
├── DataError           training data cannot be used
├── ServiceError        the service cannot be installed or does not answer
└── MissingExtraError   an optional library is not installed
"""

from __future__ import annotations


class GatecamError(Exception):
    """An error that a user can cause or fix. Its text is one sentence that says what to do."""


class ConfigError(GatecamError):
    """A setting is unknown, out of bounds or unreadable."""


class ConflictError(GatecamError):
    """Somebody else has changed meanwhile what a person wants to change."""

    def __init__(self) -> None:
        super().__init__(
            "Somebody else changed this meanwhile. The present state is shown: look at it, and change it "
            "again if you still want to."
        )


class SourceError(GatecamError):
    """A video, folder or picture cannot be read."""


class CameraError(SourceError):
    """A camera cannot be opened or gives no picture."""


class OutputError(GatecamError):
    """A file or folder cannot be written."""


class ModelError(GatecamError):
    """Weights are missing, changed or of another kind."""


class DeviceError(GatecamError):
    """A requested device is missing."""


class DataError(GatecamError):
    """Training data cannot be used."""


class ServiceError(GatecamError):
    """The service cannot be installed, or no running gatecam answers."""


class MissingExtraError(GatecamError):
    """An optional library is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra [{extra}]: install it with `pip install 'gatecam[{extra}]'`."
        )
