"""Build the systemd units, the users and the file permissions of the service."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from gatecam.errors import ServiceError
from gatecam.runtime.folders import SERVICE_CONFIG, SERVICE_STATE

CONFIG = str(SERVICE_CONFIG)
STATE = str(SERVICE_STATE)
LOGS = "/var/log/gatecam"
SERVICE, PAGE = "gatecam.service", "gatecam-page.service"
START_LIMIT_S = 120  # time for the unit to start: on a slow disk, loading and warming the networks takes long

SYSUSERS = textwrap.dedent(
    f"""\
    # The user that gatecam runs as (sysusers.d(5)): video for cameras, audio for alerts.
    u gatecam - "gatecam, an entrance monitor" {STATE}
    m gatecam video
    m gatecam audio
    """
)
PAGE_SYSUSERS = textwrap.dedent(
    """\
    # The user that shows gatecam's page (sysusers.d(5)). It cannot read gatecam's settings and passwords.
    u gatecam-page - "gatecam, its page" /var/lib/gatecam-page
    m gatecam-page video
    m gatecam-page render
    """
)
TMPFILES = textwrap.dedent(
    f"""\
    # The settings may hold a camera's password: root writes them, gatecam reads them (tmpfiles.d(5)).
    d /etc/gatecam 0750 root gatecam
    z {CONFIG} 0640 root gatecam
    """
)


SERVICE_UNIT = """\
# Written by `gatecam kiosk install`. Change it with `systemctl edit gatecam`, which survives a reinstall.
[Unit]
Description=gatecam, an entrance monitor
Wants=network-online.target
After=network-online.target nvidia-persistenced.service
# gatecam itself pauses when it fails again and again. systemd always restarts it.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
# Judged frames feed the watchdog. A program that hangs is ended, and the journal shows its threads' stacks.
WatchdogSec=30
Environment=PYTHONFAULTHANDLER=1
TimeoutStartSec={start_limit_s}
# gatecam ends its cameras' readers itself. Processes that remain after its end are killed.
KillMode=mixed
TimeoutStopSec=15

User=gatecam
Group=gatecam
UMask=0077
WorkingDirectory={state}
StateDirectory=gatecam
StateDirectoryMode=0700
LogsDirectory=gatecam
LogsDirectoryMode=0750
ConfigurationDirectory=gatecam
ConfigurationDirectoryMode=0750
RuntimeDirectory=gatecam
RuntimeDirectoryMode=0700
# The folder keeps the times of the last starts.
RuntimeDirectoryPreserve=restart

# Three times the memory that one camera needed (1.3 GB), and still little for the machine. Above the first
# limit gatecam is slowed down, above the second it is restarted. Many or large cameras need more.
MemoryHigh=3G
MemoryMax=4G

ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
# A core file would contain pictures of people.
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
# Not ProcSubset=pid: CUDA and the libraries of torch read /proc/driver, /proc/devices and /proc/cpuinfo.
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
# Not MemoryDenyWriteExecute=yes: oneDNN, which torch uses on the CPU, generates machine code at run time
# and would fail with "could not create a primitive".
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# The C library's resolver uses netlink to read the machine's addresses.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Not PrivateDevices=yes, which hides the camera. Names of missing devices do no harm.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-alsa rw
DeviceAllow=char-nvidia* rw

[Install]
WantedBy=multi-user.target
"""

PAGE_UNIT = """\
# Written by `gatecam kiosk install --page`. It needs the packages cage, chromium and xwayland.
[Unit]
Description=The page of gatecam in full screen
After=gatecam.service systemd-user-sessions.service getty@tty7.service
Conflicts=getty@tty7.service
StartLimitIntervalSec=0

[Service]
ExecStart={command}
# The command itself waits for a screen, and waits longer each time if the browser ends again and again.
Restart=always
RestartSec=3

User=gatecam-page
# A logind session gives access to the screen and keyboard of this terminal only.
PAMName=login
TTYPath=/dev/tty7
TTYReset=yes
TTYVHangup=yes
TTYVTDisallocate=yes
StandardInput=tty-fail
StandardOutput=journal
StandardError=journal
UtmpIdentifier=tty7
UtmpMode=user

UMask=0077
WorkingDirectory=/var/lib/gatecam-page
Environment=HOME=/var/lib/gatecam-page
StateDirectory=gatecam-page
StateDirectoryMode=0700
RuntimeDirectory=gatecam-page
RuntimeDirectoryMode=0700
# The folder keeps the times of the last starts.
RuntimeDirectoryPreserve=restart
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
InaccessiblePaths=-/etc/gatecam
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Chromium builds its own sandbox, which needs chroot and three kinds of namespaces.
RestrictNamespaces=user pid net
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
# Not MemoryDenyWriteExecute=yes: JavaScript is compiled at run time. Not ProtectClock= and DevicePolicy=:
# they would block the graphics card, whose devices have too many names to list.

[Install]
WantedBy=multi-user.target
"""


def service_unit(command: Sequence[str], protect_home: str) -> str:
    """Return the hardened unit that runs gatecam. `systemd-analyze security --offline=true` rates it 1.8.

    Args:
        command: the command line that starts gatecam, beginning with an absolute path.
        protect_home: `yes`, or `read-only` if gatecam is installed under /home.
    """
    return SERVICE_UNIT.format(
        command=quoted(command), protect_home=protect_home, state=STATE, start_limit_s=START_LIMIT_S
    )


def page_unit(url: str, python: str, protect_home: str) -> str:
    """Return the unit that shows a page in full screen, with Chromium in Cage on tty7.

    Cage is a compositor for one window.

    Args:
        url: the address of the page.
        python: the interpreter that runs gatecam.
        protect_home: as for `service_unit`.

    Raises:
        ServiceError: `url` is no web address.
    """
    browser = [
        python,
        "-P",
        "-m",
        "gatecam.kiosk.page_screen",
        "/usr/bin/cage",
        "-d",
        "--",
        "/usr/bin/chromium",
        "--ozone-platform=wayland",
        "--kiosk",
        "--noerrdialogs",
        "--no-first-run",
        "--disable-session-crashed-bubble",
        "--autoplay-policy=no-user-gesture-required",
        "--user-data-dir=/var/lib/gatecam-page/chromium",
        web_address(url),
    ]
    return PAGE_UNIT.format(command=quoted(browser), protect_home=protect_home)


def web_address(url: str) -> str:
    """Check a web address and return it unchanged.

    Raises:
        ServiceError: `url` is not an http:// or https:// address in plain characters.
    """
    if not re.fullmatch(r"https?://[\w.\-\[\]:]+([/?][!-~]*)?", url, re.ASCII):
        raise ServiceError(f"--page {url!r}: expected a web address such as http://127.0.0.1:8000/.")
    return url


def quoted(words: Sequence[str]) -> str:
    """Quote words for ExecStart= in a systemd unit (systemd.service(5), Command lines)."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w./:=@%$*+,-]+", word, re.ASCII) else f'"{escaped}"'
