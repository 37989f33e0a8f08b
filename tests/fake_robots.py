"""The services that take messages, served over real HTTP and SMTP.

They check signatures and lengths by the words of the services' own pages, and answer as the services
do: many of them HTTP 200, with the error inside.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import socketserver
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from tests.http_listener import listening

TOKEN = "TOKEN-7f3a9c-very-secret"
SECRET = "SEC-0c41d2-very-secret"


@dataclass
class Robots:
    """`answers`: what is answered next instead of success, (HTTP status, body), each once."""

    now: int
    base_url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    took: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    delay: threading.Event | None = None
    moved_to: str = ""
    """Where a redirect among `answers` leads."""
    packing: str = ""
    """How the answers are packed, as their header has it."""
    drips: bool = False
    """Answers with a header line after the other, for ten seconds."""

    @property
    def feishu_url(self) -> str:
        return f"{self.base_url}/open-apis/bot/v2/hook/{TOKEN}"

    @property
    def dingtalk_url(self) -> str:
        return f"{self.base_url}/robot/send?access_token={TOKEN}"

    @property
    def wecom_url(self) -> str:
        return f"{self.base_url}/cgi-bin/webhook/send?key={TOKEN}"

    @property
    def webhook_url(self) -> str:
        return f"{self.base_url}/hook/{TOKEN}"

    def answer(self, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        self.asked.append(target)
        if self.delay is not None:
            self.delay.wait(10)
        if self.answers:
            return self.answers.pop(0)
        # what is no JSON is the file that a library makes of a text that is too long
        is_json = headers.get("content-type", "").startswith("application/json")
        url, message = urlsplit(target), json.loads(body) if is_json else {"file": body}
        if url.path.endswith("/sendPhoto"):
            self.took.append(message)
            return 200, {"ok": True}
        if not is_json:
            return 400, b"a file"
        kinds = {
            "/open-apis": self._feishu,
            "/robot": self._dingtalk,
            "/hook": self._webhook,
            "/cgi-bin": self._wecom,
            "/discord": self._discord,
            "/bot": self._telegram,
            "/services": self._slack,
            "/of-a-library": self._body_of_20_000,
            "/push": self._bark,
            "/broken": self._broken,
            "/": self._ntfy,
        }
        kind = next(kinds[start] for start in kinds if url.path.startswith(start))
        status, content = kind(url.query, message, body, headers)
        members = content if isinstance(content, dict) else {}
        if 200 <= status < 300 and not {members.get(k) for k in ("code", "errcode")} - {
            None,
            0,
            200,
        }:
            self.took.append(message)
            self.headers.append(headers)
        return status, content

    def _wecom(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if parse_qs(query).get("key") != [TOKEN]:
            return 200, {"errcode": 93000, "errmsg": "invalid webhook url"}
        if message["msgtype"] == "image":
            return self._image_of_wecom(**message["image"])
        if len(message["text"]["content"].encode()) > 2_048:
            return 200, {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
        return 200, {"errcode": 0, "errmsg": "ok"}

    def _image_of_wecom(self, base64: str, md5: str) -> tuple[int, Any]:
        picture = b64decode(base64, validate=True)
        if hashlib.md5(picture).hexdigest() != md5:
            return 200, {"errcode": 301019, "errmsg": "media MD5 not match"}
        if len(picture) > 2 * 2**20 or not picture.startswith(b"\x89PNG"):
            return 200, {"errcode": 40009, "errmsg": "invalid image size"}
        return 200, {"errcode": 0, "errmsg": "ok"}

    def _discord(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if len(message["content"].encode("utf-16-le")) > 2 * 2_000:
            return 400, {"code": 50035, "message": "Invalid Form Body"}
        return 204, {}

    def _telegram(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if len(html.unescape(message["text"]).encode("utf-16-le")) > 2 * 4_096:
            words = "Bad Request: message is too long"
            return 400, {"ok": False, "error_code": 400, "description": words}
        return 200, {"ok": True}

    def _slack(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if len(message["attachments"][0]["text"]) > 40_000:
            return 200, {"ok": False, "error": "msg_too_long"}
        return 200, b"ok"

    def _body_of_20_000(
        self, query: str, message: Any, body: bytes, headers: Any
    ) -> tuple[int, Any]:
        """Feishu and DingTalk count the bytes of the request, however a library writes it."""
        if len(body) > 20_000:
            return 200, {"code": 9499, "errcode": 460101, "msg": "Bad Request"}
        return 200, {"code": 0, "errcode": 0}

    def _bark(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        alert = {name: message[name] for name in ("title", "body")}
        payload = {"aps": {"alert": alert}, "icon": message.get("icon", "")}
        if len(json.dumps(payload, ensure_ascii=False).encode()) > 4_096:
            return 400, {"code": 400, "message": "push failed: PayloadTooLarge"}
        return 200, {"code": 200, "message": "success", "timestamp": self.now}

    def _ntfy(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if len(message["message"].encode()) > 4_096:
            return 413, {"code": 41301, "http": 413, "error": "entity too large"}
        return 200, {"id": "x", "event": "message", **message}

    def _broken(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        return 503, {}

    def _feishu(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        if len(body) > 20_000:
            return 200, {"code": 9499, "msg": "Bad Request", "data": {}}
        timestamp = message.get("timestamp", "")
        key = (timestamp + "\n" + SECRET).encode("utf-8")
        wanted = base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
        late = not timestamp.isdigit() or abs(int(timestamp) - self.now) > 3_600
        if late or message.get("sign") != wanted:
            return 200, {
                "code": 19021,
                "msg": "sign match fail or timestamp is not within one hour",
            }
        return 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "msg": "success"}

    def _dingtalk(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        given = parse_qs(query)
        text = f"{given.get('timestamp', ['0'])[0]}\n{SECRET}"
        wanted = base64.b64encode(
            hmac.new(SECRET.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).digest()
        ).decode()
        sign = dict(part.partition("=")[::2] for part in query.split("&")).get("sign", "")
        late = abs(int(given.get("timestamp", ["0"])[0]) - self.now * 1000) > 3_600_000
        if given.get("access_token") != [TOKEN] or late or unquote_plus(sign) != wanted:
            return 200, {"errcode": 310000, "errmsg": "sign not match"}
        return 200, {"errcode": 0, "errmsg": "ok"}

    def _webhook(self, query: str, message: Any, body: bytes, headers: Any) -> tuple[int, Any]:
        stamp = headers.get("x-chenyu-timestamp", "")
        digest = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        if headers.get("x-chenyu-signature", f"sha256={digest}") != f"sha256={digest}":
            return 403, {"error": "signature"}
        return 200, {}


@contextmanager
def serve_robots(now: int) -> Iterator[Robots]:
    robots = Robots(now)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if robots.drips:
                return self._drip()
            status, content = robots.answer(self.path, body, headers)
            answer = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            if robots.moved_to and 300 <= status < 400:
                self.send_header("Location", robots.moved_to)
            if robots.packing:
                self.send_header("Content-Encoding", robots.packing)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _drip(self) -> None:
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            with suppress(OSError):
                for _ in range(500):
                    self.wfile.write(b"X-More: 1\r\n")
                    time.sleep(0.02)  # drips: slow, but never silent

        def log_message(self, *_: object) -> None:
            pass

    with listening(Handler) as port:
        robots.base_url = f"http://127.0.0.1:{port}"
        yield robots


@dataclass
class MailServer:
    """`took`: (recipients, message as it was sent). Addresses in `refuses` are unknown."""

    port: int = 0
    took: list[tuple[list[str], bytes]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    login: tuple[int, str] = (235, "2.7.0 ok")


@contextmanager
def serve_mail() -> Iterator[MailServer]:
    mail = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say(220, "mail.example ESMTP")
            to: list[str] = []
            while line := self.rfile.readline().decode().strip():
                word = line.partition(" ")[0].upper()
                if word == "EHLO":
                    self.wfile.write(b"250-mail.example\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n")
                elif word == "AUTH":
                    self._say(*mail.login)
                elif word == "RCPT":
                    self._address(line.partition("<")[2].partition(">")[0], to)
                elif word == "DATA":
                    self._say(354, "go on")
                    mail.took.append((list(to), self._data()))
                    self._say(250, "taken")
                elif word == "QUIT":
                    return self._say(221, "bye")
                else:
                    to = [] if word == "MAIL" else to
                    self._say(250, "ok")

        def _address(self, address: str, to: list[str]) -> None:
            if address in mail.refuses:
                return self._say(550, "5.1.1 no such user here")
            to.append(address)
            self._say(250, "ok")

        def _data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

        def _say(self, code: int, words: str) -> None:
            self.wfile.write(f"{code} {words}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        mail.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield mail
        finally:
            server.shutdown()
            thread.join()
