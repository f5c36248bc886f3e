"""What makes gatecam a service: systemd's units, its user, and who may read its settings."""

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
START_LIMIT_S = 120  # of the unit: weights are read and networks warmed on a slow disk

SYSUSERS = textwrap.dedent(
    f"""\
    # Who gatecam runs as (sysusers.d(5)): video for cameras, audio for alerts.
    u gatecam - "gatecam, an entrance monitor" {STATE}
    m gatecam video
    m gatecam audio
    """
)
PAGE_SYSUSERS = textwrap.dedent(
    """\
    # Who shows gatecam's page (sysusers.d(5)): not gatecam's own user, whose settings hold a password.
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
# Written by `gatecam kiosk install`; `systemctl edit gatecam` changes it and survives another install.
[Unit]
Description=gatecam, an entrance monitor
Wants=network-online.target
After=network-online.target nvidia-persistenced.service
# gatecam holds itself back when it fails again and again; systemd never gives it up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
# Fed by frames judged: a program that hangs is ended, and its threads' stacks stand in the journal.
WatchdogSec=30
Environment=PYTHONFAULTHANDLER=1
TimeoutStartSec={start_limit_s}
# gatecam ends its cameras' readers itself; what is left after its end is killed.
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
# The times of the last starts lie there.
RuntimeDirectoryPreserve=restart

# Three times what one camera took (1.3 GB), far below what would starve the machine. Above the first bound it
# is slowed down, above the second ended and started again. Many or large cameras want more.
MemoryHigh=3G
MemoryMax=4G

ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
# A core file would hold pictures of people.
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
# Not MemoryDenyWriteExecute=yes: oneDNN, which computes for torch on the CPU, writes machine code at
# run time, and fails under it with "could not create a primitive".
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# Netlink: the resolver of the C library asks over it which addresses the machine has.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# Not PrivateDevices=yes, which hides the camera. Names of devices that a machine lacks do no harm.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-alsa rw
DeviceAllow=char-nvidia* rw

[Install]
WantedBy=multi-user.target
"""

PAGE_UNIT = """\
# Written by `gatecam kiosk install --page`; wants the packages cage, chromium and xwayland.
[Unit]
Description=The page of gatecam in full screen
After=gatecam.service systemd-user-sessions.service getty@tty7.service
Conflicts=getty@tty7.service
StartLimitIntervalSec=0

[Service]
ExecStart={command}
# The command waits for a screen by itself, and longer and longer where the browser ends again and again.
Restart=always
RestartSec=3

User=gatecam-page
# A session of logind's gives the screen and the keys, and nothing but this terminal's.
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
# The times of the last starts lie there.
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
# Chromium builds a sandbox of its own, for which it wants chroot and three kinds of namespaces.
RestrictNamespaces=user pid net
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
# Not MemoryDenyWriteExecute=yes: JavaScript is compiled at run time. Not ProtectClock= and DevicePolicy=,
# which would take away the graphics card, whose devices have too many names.

[Install]
WantedBy=multi-user.target
"""


def service_unit(command: Sequence[str], protect_home: str) -> str:
    """The unit that runs gatecam, hardened: `systemd-analyze security --offline=true` gives it 1.8.

    Args:
        command: the words that start gatecam; the first is an absolute path.
        protect_home: `yes`, or `read-only` where gatecam is installed under /home.
    """
    return SERVICE_UNIT.format(
        command=quoted(command), protect_home=protect_home, state=STATE, start_limit_s=START_LIMIT_S
    )


def page_unit(url: str, python: str, protect_home: str) -> str:
    """Return the unit that shows a page in full screen: Chromium in Cage, on tty7.

    Cage is a compositor for one window.

    Args:
        url: of the page.
        python: the interpreter that gatecam runs with.
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
    """`url` as it is.

    Raises:
        ServiceError: it is not an http:// or https:// address in plain characters.
    """
    if not re.fullmatch(r"https?://[\w.\-\[\]:]+([/?][!-~]*)?", url, re.ASCII):
        raise ServiceError(f"--page {url!r}: expected a web address such as http://127.0.0.1:8000/.")
    return url


def quoted(words: Sequence[str]) -> str:
    """Words as systemd takes them in ExecStart= (systemd.service(5), Command lines)."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w./:=@%$*+,-]+", word, re.ASCII) else f'"{escaped}"'
