"""What every stand-in shares: an HTTP server on a free port, what it saw, refusals, and streams cut at awkward bytes.

A dialect subclasses `StandIn`:

    class Cohere(StandIn):
        name = "cohere"
        def routes(self):
            return [("POST", r"/v2/chat", self.chat)]
        def chat(self, request): ...          # -> Reply or Stream; raises Refused or brain.Failure
        def refused(self, refusal, request): ...   # -> Reply in the provider's own error shape

    with Cohere() as provider:
        provider.url                          # http://127.0.0.1:PORT
        provider.seen                         # list of dicts, newest last; also GET (and DELETE) /__seen

A handler calls `self.think(request, conversation, **more)`: it notes the request (headers, body, canonical
conversation, and `more`) in `seen` and returns the brain's answer. Refusals are noted there too, so a failing test can say
why. `Refused(status, message, kind)` is raised for everything that the provider would not take: `message` says exactly
what is wrong. `brain.Failure` is turned into a `Refused` by `FAILURE_STATUS`, with the brain's kind.

`Stream(events, ...)`: `events` yields bytes (whole events); they go out as HTTP chunks whose borders fall anywhere
(`awkward`). `PAUSE` in between waits; `CUT` breaks the connection without an end. `troubled` puts the
brain's trouble into a list of events.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import socketserver
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brain

PAUSE = object()
CUT = object()


class Refused(Exception):
    """The provider does not take the request. `kind` is one of the brain's kinds; the dialect maps it to its name."""

    def __init__(self, status: int, message: str, kind: str = "bad_request", headers: dict | None = None):
        super().__init__(message)
        self.status, self.message, self.kind, self.headers = status, message, kind, headers or {}


def refuse(message: str):
    raise Refused(400, message)


FAILURE_STATUS = {
    "bad_request": 400, "auth": 401, "forbidden": 403, "not_found": 404, "timeout": 408, "rate": 429, "server": 500,
    "unavailable": 503, "overloaded": 529, "context": 400,
}
"""Where a dialect has no override in `StandIn.statuses`."""


@dataclass
class Request:
    method: str
    target: str
    """As sent: path and query, percent-encoding untouched."""
    headers: list[tuple[str, str]]
    body: bytes
    route: re.Match | None = None
    """Match of the route's pattern; its groups are still percent-encoded (see `arg`)."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def arg(self, name: str) -> str:
        return urllib.parse.unquote(self.route[name])

    def json(self) -> dict:
        kind = (self.header("content-type") or "").partition(";")[0].strip()
        if kind != "application/json":
            refuse(f"content-type must be application/json, not {kind!r}")
        try:
            body = json.loads(self.body, object_pairs_hook=no_doubles)
        except ValueError as error:
            refuse(f"the body is not JSON: {error}")
        if not isinstance(body, dict):
            refuse("the body must be a JSON object")
        return body


def no_doubles(pairs: list[tuple[str, object]]) -> dict:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a name is given twice in {names}")
    return dict(pairs)


@dataclass
class Reply:
    status: int
    body: bytes | dict
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection closes before the last bytes that content-length promised."""

    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else brain.compact(self.body).encode()


@dataclass
class Stream:
    events: Iterable
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)


def awkward(events: Iterable) -> Iterator:
    """The bytes of all events, cut elsewhere: within characters, lines and frames. PAUSE and CUT flush what is there."""
    sizes = itertools.cycle((1, 7, 3, 64, 2, 200, 11, 5, 31))
    left, size = b"", next(sizes)
    for event in events:
        if event is PAUSE or event is CUT:
            if left:
                yield left
            left = b""
            yield event
            continue
        left += event
        while len(left) >= size:
            yield left[:size]
            left, size = left[size:], next(sizes)
    if left:
        yield left


def troubled(events: Iterable[bytes], trouble: str | None, late: bytes = b"", broken: bytes = b"") -> Iterator:
    """The events of an answer with the brain's trouble in the middle of them: `late` is the dialect's error event,
    `broken` an event it would never send (None of its JSON closes)."""
    events = list(events)
    middle = max(2, len(events) // 2)
    if trouble in (None, "slow"):
        for index, event in enumerate(events):
            yield event
            if trouble and index % 4 == 1:
                yield PAUSE
        return
    yield from events[:middle]
    if trouble == "late":
        yield late
    elif trouble == "malformed":
        yield broken
        yield from events[middle:]
    else:
        yield events[middle][: len(events[middle]) // 2]
        yield CUT


def sse(data, event: str | None = None) -> bytes:
    """One server-sent event; `data` is JSON data or text."""
    text = data if isinstance(data, str) else brain.compact(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


class StandIn:
    name = "?"
    statuses: dict[str, int] = {}
    """Kinds of failure whose status differs from FAILURE_STATUS."""
    too_long = "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens."
    """The provider's own words for a prompt that is too long: gateways go by them."""

    def __init__(self):
        self.seen: list[dict] = []
        self.url = ""
        self.down: Refused | None = None
        """While set, every request is refused so: `provider.down = Refused(503, "gone", "unavailable")`."""
        self._server: ThreadingHTTPServer | None = None

    # ---- for a dialect to write

    def routes(self) -> list[tuple[str, str, Callable[[Request], Reply | Stream]]]:
        """Method, pattern of the whole path (percent-encoded, without query), handler."""
        raise NotImplementedError

    def refused(self, refusal: Refused, request: Request) -> Reply:
        """The provider's own error body."""
        return Reply(refusal.status, {"error": {"message": refusal.message}})

    # ---- for a dialect to call

    def think(self, request: Request, conversation: brain.Conversation, **more) -> brain.Answer:
        """Notes the request and asks the brain. `more` is JSON data to be noted with it."""
        self.note(request, conversation=conversation.describe(), **more)
        return brain.answer(conversation)

    def note(self, request: Request, **more):
        self.seen.append(
            {"method": request.method, "target": request.target, "headers": [list(pair) for pair in request.headers],
             "body": request.body.decode(errors="replace")} | more
        )

    def whole(self, answer: brain.Answer, body: dict, headers: dict | None = None) -> Reply:
        """A plain answer, with the brain's trouble if there is any."""
        raw = brain.compact(body).encode()
        if answer.trouble == "malformed":
            raw = raw[: len(raw) // 2]
        if answer.trouble == "late":
            raise brain.Failure("server", "the model broke off")
        return Reply(200, raw, headers or {}, cut=answer.trouble == "cut")

    def refusal(self, failure: brain.Failure) -> Refused:
        status = self.statuses.get(failure.kind, FAILURE_STATUS[failure.kind])
        headers = {"retry-after": str(failure.retry_after)} if failure.retry_after is not None else {}
        message = self.too_long if failure.kind == "context" else failure.message
        return Refused(status, message, failure.kind, headers)

    # ---- the server

    def handle(self, request: Request) -> Reply | Stream:
        if request.path == "/__seen":
            if request.method == "DELETE":
                self.seen.clear()
            return Reply(200, brain.compact(self.seen).encode())
        noted = len(self.seen)
        try:
            if self.down:
                raise self.down
            for method, pattern, handler in self.routes():
                if method == request.method and (match := re.fullmatch(pattern, request.path)):
                    request.route = match
                    return handler(request)
            raise Refused(404, f"{self.name} has no {request.method} {request.path}", "not_found")
        except Refused as error:
            refusal = error
        except brain.Failure as failure:
            refusal = self.refusal(failure)
        except Exception as error:  # a mistake of the stand-in must not look like the provider's answer
            refusal = Refused(500, f"the stand-in {self.name} broke: {type(error).__name__}: {error}", "server")
        if len(self.seen) == noted:
            self.note(request)
        self.seen[-1]["refused"] = [refusal.status, refusal.message]
        reply = self.refused(refusal, request)
        reply.headers = refusal.headers | reply.headers
        return reply

    def __enter__(self):
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def one(self):
                request = Request(self.command, self.path, list(self.headers.items()), read_body(self))
                send(self, standin.handle(request))

            do_GET = do_POST = do_DELETE = do_PUT = one

            def log_message(self, *_args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, _request, _address):
                pass  # a client that went away

            def server_bind(self):
                socketserver.TCPServer.server_bind(self)  # without the name look-up of HTTPServer
                self.server_name, self.server_port = self.server_address[:2]

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_exc):
        self._server.shutdown()
        self._server.server_close()


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" in (handler.headers.get("transfer-encoding") or "").lower():
        body = b""
        while size := int(handler.rfile.readline().partition(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body
    return handler.rfile.read(int(handler.headers.get("content-length") or 0))


def send(handler: BaseHTTPRequestHandler, reply: Reply | Stream):
    if isinstance(reply, Stream):
        return send_stream(handler, reply)
    body = reply.raw()
    handler.send_response(reply.status)
    for name, value in ({"content-type": "application/json"} | reply.headers).items():
        handler.send_header(name, value)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2] if reply.cut else body)
    if reply.cut:
        break_off(handler)


def send_stream(handler: BaseHTTPRequestHandler, reply: Stream):
    handler.send_response(200)
    for name, value in ({"content-type": reply.content_type} | reply.headers).items():
        handler.send_header(name, value)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for piece in awkward(reply.events):
        if piece is PAUSE:
            time.sleep(0.05)
        elif piece is CUT:
            return break_off(handler)
        else:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            handler.wfile.flush()
    handler.wfile.write(b"0\r\n\r\n")


def break_off(handler: BaseHTTPRequestHandler):
    handler.wfile.flush()
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_WR)
