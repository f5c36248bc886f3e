"""The server on real sockets: slow and hanging clients, TLS, ports in use, and an end in time."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack, closing, suppress

import pytest

pytest.importorskip("uvicorn")

from gatecam.errors import OutputError
from gatecam.settings.schema import Config, WebConfig
from gatecam.web import server as serving
from gatecam.web.places import MOST
from gatecam.web.server import PatientProtocol, WebServer
from gatecam.web.site import build_app
from tests.streams import free_port
from tests.web.conftest import TOKENS

FONT = b"GET /static/NanumSquareB.ttf HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ASK = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UPGRADE = (
    f"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKENS.door}\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
).encode()


def connect(server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def test_it_answers_without_saying_what_it_is(server):
    with connect(server) as client:
        client.sendall(ASK)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"uvicorn" not in answer.lower()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", ASK[:-2], ASK + b"GET /"])
def test_who_sends_no_whole_head_is_cut_off(server, monkeypatch, sent):
    monkeypatch.setattr(PatientProtocol, "head_s", 0.2)
    monkeypatch.setattr(serving, "KEEP_ALIVE_S", 0.2)
    with connect(server) as client:
        client.sendall(sent)
        start_s = time.monotonic()
        while client.recv(65536):
            pass
    assert time.monotonic() - start_s < 8


def test_a_head_that_is_too_long_is_refused(server):
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000)
        assert client.recv(65536).startswith(b"HTTP/1.1 400")


def test_who_never_reads_an_answer_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "answer_s", 0.3)
    with closing(thirsty(server)) as client:
        client.sendall(FONT * 12)
        assert ends(client)


def test_nobody_can_take_all_places(behind):
    """Not by connections without a head, and not by ones that read no answers."""
    site = build_app(Config(), TOKENS, behind, most=dict.fromkeys(MOST, 12))
    with ExitStack() as stack:
        server = stack.enter_context(WebServer(site, WebConfig(port=free_port()), pytest.fail))
        for number in range(40):
            client = stack.enter_context(closing(thirsty(server)))
            if number % 2:
                with suppress(OSError):
                    client.sendall(FONT * 12)
        for _ in range(3):
            with connect(server) as honest:
                honest.sendall(ASK)
                assert honest.recv(65536).startswith(b"HTTP/1.1 200")


def thirsty(server: WebServer) -> socket.socket:
    """A client with hardly a place for answers."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect(("127.0.0.1", server.port))
    return client


def ends(client: socket.socket) -> bool:
    """Whether the other side is gone before all of twelve answers has come."""
    time.sleep(1)
    got = 0
    with suppress(ConnectionResetError):
        while data := client.recv(65536):
            got += len(data)
    return got < 6_000_000


def test_no_more_handshakes_of_tls_are_waited_for_than_there_are_places(behind, certificate):
    """Each costs an open file, of which the cameras and the store need some as well."""
    site = build_app(Config(), TOKENS, behind, most=dict.fromkeys(MOST, 8))
    with (
        ExitStack() as stack,
        WebServer(site, WebConfig(port=free_port(), **certificate), pytest.fail) as server,
    ):
        mute = [stack.enter_context(connect(server)) for _ in range(20)]
        for client in mute[:16]:
            assert client.recv(1) == b""


def test_a_client_that_pings_and_reads_nothing_is_read_no_more(server):
    """The answers to its pings would fill the memory."""
    pings = (b"\x89\xfd\x00\x00\x00\x00" + b"x" * 125) * 1000
    with closing(thirsty(server)) as client:
        client.sendall(UPGRADE)
        assert client.recv(12) == b"HTTP/1.1 101"
        client.settimeout(1)
        sent = 0
        with suppress(TimeoutError):
            while sent < 50_000_000:
                sent += client.send(pings)
    assert sent < 50_000_000


@pytest.mark.parametrize("opcode", [0x01, 0x02])
def test_a_message_in_any_number_of_empty_parts_ends_its_connection(server, opcode):
    with connect(server) as client:
        client.sendall(UPGRADE)
        assert client.recv(12) == b"HTTP/1.1 101"
        client.settimeout(3)
        client.sendall(bytes([opcode]) + b"\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 100)
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass


def test_it_ends_in_time_whoever_hangs_on(site):
    with WebServer(site, WebConfig(port=free_port()), pytest.fail) as server:
        hanging = [connect(server) for _ in range(10)]
        hanging[0].sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nto")
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 3.5
    for client in hanging:
        client.close()


def test_a_port_in_use_is_one_sentence(server, site):
    with pytest.raises(OutputError, match=r"the pages cannot be served at 127\.0\.0\.1, port .*in use"):
        WebServer(site, WebConfig(port=server.port), pytest.fail).__enter__()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_are_those_of_both_families(site):
    with WebServer(site, WebConfig(host="::", port=free_port()), pytest.fail) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, server.port), timeout=10) as client:
                client.sendall(ASK)
                assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_address_of_another_machine_is_one_sentence(site):
    with pytest.raises(OutputError, match="the pages cannot be served at 192"):
        WebServer(site, WebConfig(host="192.0.2.1", port=free_port()), pytest.fail).__enter__()


@pytest.fixture
def certificate(tmp_path) -> dict[str, str]:
    """A certificate for 127.0.0.1 and its key, as settings."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    files = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", files["key"], "-out", files["certificate"]]
    subprocess.run(["openssl", *words.split(), *more], check=True, capture_output=True)
    return files


def test_with_a_certificate_it_speaks_tls(site, certificate):
    trust = ssl.create_default_context(cafile=certificate["certificate"])
    with WebServer(site, WebConfig(port=free_port(), **certificate), pytest.fail) as server:
        assert server.url.startswith("https://127.0.0.1:")
        with closing(trust.wrap_socket(connect(server), server_hostname="127.0.0.1")) as client:
            client.sendall(ASK)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            assert client.version() in ("TLSv1.2", "TLSv1.3")


def test_a_certificate_that_is_none_is_one_sentence(site, certificate, tmp_path):
    (tmp_path / "other.pem").write_text("none")
    for key in (tmp_path / "other.pem", tmp_path / "missing.pem"):
        given = {**certificate, "key": str(key)}
        with pytest.raises(OutputError, match="not a certificate and its key"):
            WebServer(site, WebConfig(port=free_port(), **given), pytest.fail)
