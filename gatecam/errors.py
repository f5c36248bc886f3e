"""What gatecam raises.

GatecamError            a sentence for the user: what is wrong and what to do
├── ConfigError         a setting that is unknown, out of bounds or unreadable
├── SourceError         a video, folder or picture that cannot be read
│   └── CameraError     a camera that cannot be opened or gives no picture
├── OutputError         a file or folder that cannot be written
├── ModelError          weights that are missing, changed or of another kind
├── DeviceError         a device that was asked for and is not there
├── DataError           training data that cannot be used
├── ServiceError        a service that cannot be installed or asked
└── MissingExtraError   an optional library that is not installed
"""

from __future__ import annotations


class GatecamError(Exception):
    """An error that a user can cause or mend; its text is one sentence that says what to do."""


class ConfigError(GatecamError):
    """A setting is unknown, out of bounds or unreadable."""


class SourceError(GatecamError):
    """A video, folder or picture cannot be read."""


class CameraError(SourceError):
    """A camera cannot be opened or gives no picture."""


class OutputError(GatecamError):
    """A file or folder cannot be written."""


class ModelError(GatecamError):
    """Weights are missing, changed or of another kind."""


class DeviceError(GatecamError):
    """A device that was asked for is not there."""


class DataError(GatecamError):
    """Training data cannot be used."""


class ServiceError(GatecamError):
    """The service cannot be installed, or nothing runs that could be asked."""


class MissingExtraError(GatecamError):
    """An optional library is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra [{extra}]: install it with `pip install 'gatecam[{extra}]'`."
        )
