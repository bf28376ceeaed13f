"""What every request passes before the page or the API sees it: origin, token, rate, size, time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from reage.server.config import ServerConfig
from reage.server.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

JOBS_PATH = "/v1/jobs"

_UPLOAD_PATH = "/gradio_api/upload"
"""Where the page sends its files, videos among them."""

_HEARTBEAT_PATH = "/gradio_api/heartbeat/"
"""What a page keeps open for as long as it is open itself."""

_MILLION = 1_000_000
_MAX_DIGITS = 15
_ADDRESSES = 10_000
"""Most addresses whose rate is remembered."""

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer; the first lets the page reach this server alone, whatever its scripts ask for."""


class Refused(HTTPException):
    """A request that is refused.

    Args:
        status: of HTTP.
        kind: a word for programs.
        message: a sentence for people.
        headers: of the answer.
    """

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message, headers)
        self.kind = kind

    def to_response(self) -> JSONResponse:
        """The answer that says so."""
        body = {"error": self.kind, "message": self.detail}
        return JSONResponse(body, self.status_code, headers=dict(self.headers or {}))


class Guard:
    """Refuses requests by the limits, adds `SECURITY_HEADERS`, and counts; as ASGI middleware.

    Args:
        app: behind it.
        config: of the server.
        metrics: that count.
        on_stop: what `stop` does.
    """

    def __init__(
        self, app: App, config: ServerConfig, metrics: Metrics, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        self._on_stop, self._stopping = on_stop, asyncio.Event()
        self._app, self._config, self._limits, self._metrics = app, config, config.limits, metrics
        self._allowance: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._num_working = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets
        started, status = time.monotonic(), 0
        is_work = scope["method"] == "POST" and scope["path"].startswith("/v1/")

        async def send_checked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message.get("headers", ())}
                added = [(name.encode(), text.encode()) for name, text in SECURITY_HEADERS.items()]
                own = [pair for pair in added if pair[0] not in named or pair[0] != b"cache-control"]
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        self._num_working += is_work
        try:
            self._check(scope)
            await self._app(scope, self._limit_body(scope, receive), send_checked)
        except Refused as refusal:
            if status:
                raise
            await refusal.to_response()(scope, receive, send_checked)
        finally:
            self._num_working -= is_work
            self._metrics.add(_name_route(scope["path"]), status, time.monotonic() - started)

    def stop(self) -> None:
        """Ends what would go on for as long as a page is open, before the server waits for the end of all answers."""
        self._stopping.set()
        self._on_stop()

    # Checks, in the order of their cost

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]}
        self._check_host(headers)
        if scope["path"] != "/health":
            self._check_token(headers)
        if scope["method"] == "POST" and scope["path"].startswith("/v1/"):
            self._check_rate((scope.get("client") or ("", 0))[0])
            if self._num_working > self._config.num_workers + self._limits.queue_length:
                raise Refused(
                    503, "busy", "Too many requests wait already; try again in a moment.", {"retry-after": "2"}
                )
        length, most = headers.get("content-length", "0"), self._find_body_limits(scope["path"])[0]
        if not length.isdecimal() or len(length) > _MAX_DIGITS or int(length) > most * _MILLION:
            raise _too_large(most)

    def _find_body_limits(self, path: str) -> tuple[float, float]:
        """Megabytes and seconds of the body of a request."""
        limits = self._limits
        if path in (JOBS_PATH, _UPLOAD_PATH):
            return limits.job_megabytes, limits.job_body_seconds
        return limits.megabytes, limits.body_seconds

    def _check_host(self, headers: dict[str, str]) -> None:
        """Refuses names that a page of somebody else gave this computer, and forms that such a page sends."""
        host = headers.get("host", "")
        if self._config.is_loopback:
            name = _split(f"//{host}")[1]
            if name not in ("127.0.0.1", "localhost", "::1", self._config.host):
                raise Refused(421, "host", "This server answers to 127.0.0.1 and localhost only; use one of them.")
        origin = headers.get("origin")
        if origin is not None and origin != "null" and _split(origin)[0] != host:
            raise Refused(403, "origin", "Pages of other sites may not use this server; open its own page.")

    def _check_token(self, headers: dict[str, str]) -> None:
        """Wants the token as a bearer, or as the password of any name, which browsers ask for."""
        if self._config.token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                given = ""
        if scheme.lower() not in ("basic", "bearer") or not hmac.compare_digest(
            given.strip().encode(), self._config.token.encode()
        ):
            asked = {"www-authenticate": 'Basic realm="reage", charset="UTF-8"'}
            raise Refused(401, "token", "This server wants its token; send Authorization: Bearer TOKEN.", asked)

    def _check_rate(self, address: str) -> None:
        """Takes one request from the allowance of an address, which fills up again over a minute."""
        per_minute, now = self._limits.requests_per_minute, time.monotonic()
        left, counted_at = self._allowance.pop(address, (float(per_minute), now))
        left = min(per_minute, left + (now - counted_at) * per_minute / 60)
        self._allowance[address] = (left - (left >= 1), now)
        if len(self._allowance) > _ADDRESSES:
            self._allowance.popitem(last=False)
        if left < 1:
            after = {"retry-after": str(max(1, round((1 - left) * 60 / per_minute)))}
            raise Refused(429, "rate", f"These are more than {per_minute} requests a minute; wait a moment.", after)

    def _limit_body(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        """Receives a body as long as it is neither too large nor too late."""
        most, seconds = self._find_body_limits(scope["path"])
        until, taken, is_whole = time.monotonic() + seconds, 0, False

        async def receive_limited() -> Message:
            nonlocal taken, is_whole
            if is_whole:
                endless = scope["path"].startswith(_HEARTBEAT_PATH)
                return await (self._wait_for_end(receive) if endless else receive())  # of the connection
            try:
                message = await asyncio.wait_for(receive(), max(0.001, until - time.monotonic()))
            except TimeoutError:
                raise Refused(
                    408, "body", f"The request did not arrive within {seconds:g} s; send it faster."
                ) from None
            taken += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if taken > most * _MILLION:
                raise _too_large(most)
            return message

        return receive_limited

    async def _wait_for_end(self, receive: Receive) -> Message:
        """The end of a connection, which also comes when the server stops."""
        ends = [asyncio.ensure_future(receive()), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return {"type": "http.disconnect"}


def _too_large(megabytes: float) -> Refused:
    return Refused(413, "bytes", f"A request may have {megabytes:g} MB; send a smaller file.")


def _split(address: str) -> tuple[str, str]:
    """The host with its port, and without, of an address; "" where it has none."""
    try:
        parts = urlsplit(address)
        return parts.netloc, parts.hostname or ""
    except ValueError:
        return "", ""


def _name_route(path: str) -> str:
    """The route of a path, for the metrics: of few kinds, whatever is asked for."""
    known = ("/health", "/metrics", "/v1/age", "/v1/find", "/v1/measure", "/v1/compare", "/v1/engines")
    if path == JOBS_PATH or path.startswith(f"{JOBS_PATH}/"):
        return JOBS_PATH
    return path if path in known else "/v1" if path.startswith("/v1/") else "page"
