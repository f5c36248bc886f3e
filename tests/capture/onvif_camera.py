"""A network camera in tests, on 127.0.0.1: answers WS-Discovery and the ONVIF requests for its streams."""

from __future__ import annotations

import re
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl"
 xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema">
 <s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>"""
_MATCH = """<d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:7</a:Address>
 </a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types>
 <d:Scopes>onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/{name}</d:Scopes>
 <d:XAddrs>{address}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches>"""
_MATCHES = "http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches"
_SERVICES = """<tds:GetServicesResponse><tds:Service>
 <tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace>
 <tds:XAddr>http://{elsewhere}/onvif/media</tds:XAddr>
 <tds:Version><tt:Major>2</tt:Major><tt:Minor>5</tt:Minor></tds:Version>
 </tds:Service></tds:GetServicesResponse>"""
_PROFILE = """<trt:Profiles token="{token}" fixed="true"><tt:Name>{token} stream</tt:Name>
 <tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1</tt:UseCount>
 <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>
 </tt:Resolution><tt:Quality>4</tt:Quality><tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type>
 <tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL>
 <tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT10S</tt:SessionTimeout>
 </tt:VideoEncoderConfiguration></trt:Profiles>"""
_URI = """<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{uri}</tt:Uri>
 <tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>
 <tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>"""
_FAULT = """<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason>
 <s:Text xml:lang="en">Sender not Authorized</s:Text></s:Reason></s:Fault>"""
_CLOCK = """<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>
 <tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>{time}
 </tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"""
_TIME = """<tt:UTCDateTime><tt:Time><tt:Hour>{0.hour}</tt:Hour><tt:Minute>{0.minute}</tt:Minute>
 <tt:Second>{0.second}</tt:Second></tt:Time><tt:Date><tt:Year>{0.year}</tt:Year>
 <tt:Month>{0.month}</tt:Month><tt:Day>{0.day}</tt:Day></tt:Date></tt:UTCDateTime>"""
MOST_APART_S = 60.0  # of the camera's clock and the time of a login
SIZES = {"sub": (640, 360), "main": (1920, 1080)}


class OnvifCamera:
    """Answers while its context is open. Streams are at `host`. `password` is the only right one.

    Its clock is `ahead_s` ahead, and refuses the logins of another time. With None it tells no time.
    """

    def __init__(
        self, host: str = "127.0.0.1", password: str = "s3cret", ahead_s: float | None = 0.0
    ) -> None:
        self.host, self.password, self.ahead_s = host, password, ahead_s
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/onvif/device_service"

    @property
    def probe_port(self) -> int:
        return int(self._udp.getsockname()[1])

    def __enter__(self) -> OnvifCamera:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, answer = camera._answer(body)
                raw = _ENVELOPE.format(head="", body=answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the search binds it as well
        self._udp.bind(("127.0.0.1", 0))
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,)),
            threading.Thread(target=self._probes),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._udp.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join()
        self._udp.close()

    def _probes(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(65536)
            if not data:
                return
            found = re.search(r"MessageID[^>]*>([^<]+)<", data.decode())
            assert found is not None
            head = f"<a:MessageID>urn:uuid:8</a:MessageID><a:RelatesTo>{found[1]}</a:RelatesTo>"
            head += f"<a:Action>{_MATCHES}</a:Action>"
            body = _MATCH.format(name="Front%20door%20cam", address=self.address)
            self._udp.sendto(_ENVELOPE.format(head=head, body=body).encode(), peer)

    def _answer(self, body: str) -> tuple[int, str]:
        what = re.search(r"Body>\s*<(?:\w+:)?(\w+)", body)
        assert what is not None
        self.asked.append(what[1])
        if what[1] == "GetServices":
            return 200, _SERVICES.format(elsewhere="192.0.2.9:81")
        now = datetime.now(UTC) + timedelta(seconds=self.ahead_s or 0.0)
        if what[1] == "GetSystemDateAndTime":
            return 200, _CLOCK.format(time="" if self.ahead_s is None else _TIME.format(now))
        if "UsernameToken" not in body or (self.password == "other"):
            return 400, _FAULT
        created = re.search(r"Created[^>]*>([^<]+)<", body)
        assert created is not None
        if abs((datetime.fromisoformat(created[1]) - now).total_seconds()) > MOST_APART_S:
            return 400, _FAULT
        if what[1] == "GetProfiles":
            profiles = "".join(
                _PROFILE.format(token=token, width=width, height=height)
                for token, (width, height) in SIZES.items()
            )
            return 200, f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"
        token = re.search(r"ProfileToken>(\w+)<", body)
        assert token is not None
        return 200, _URI.format(uri=f"rtsp://{self.host}:554/{token[1]}")
