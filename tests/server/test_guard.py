"""What is refused before it reaches the page or the API."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from reage.server.config import Limits, ServerConfig
from reage.server.guard import SECURITY_HEADERS, Guard
from reage.server.metrics import Metrics

TOKEN = "a-token-of-many-characters"


async def echo(scope, receive, send):
    """An application that reads a body and answers its length."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await PlainTextResponse(str(size))(scope, receive, send)


def make(base_url="http://127.0.0.1:7860", metrics=None, limits=None, **settings) -> TestClient:
    config = ServerConfig(limits=limits or Limits(), **settings)
    return TestClient(Guard(echo, config, metrics or Metrics()), base_url=base_url)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "localhost"])
def test_this_computer_may_ask(host) -> None:
    assert make().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example:80", "[::1", b"\xe4"]
)
def test_a_name_that_somebody_else_gave_this_computer_is_refused(host) -> None:
    answer = make().get("/", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]) == (421, "host")


def test_forms_of_other_sites_are_refused() -> None:
    answer = make().post("/v1/age", headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]) == (403, "origin")
    assert make().post("/v1/age", headers={"origin": "http://[::1"}).status_code == 403
    assert make().post("/v1/age", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200


def test_the_token_is_wanted_everywhere_but_for_health() -> None:
    client = make("http://photos.example", host="0.0.0.0", token=TOKEN)
    for path in ("/", "/v1/engines", "/metrics", "/openapi.json", "/gradio_api/upload"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (401, "token")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()).decode(), 200),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Token {TOKEN}", 401),
        ("Basic %%%", 401),
        ("Basic " + base64.b64encode(TOKEN.encode()).decode(), 401),
        ("Bearer ", 401),
        ("Bearer \xe9", 401),
    ],
)
def test_only_the_token_opens(authorization, status) -> None:
    client = make("http://photos.example", host="0.0.0.0", token=TOKEN)
    assert client.get("/", headers={b"authorization": authorization.encode("latin-1")}).status_code == status


def test_an_address_has_a_number_of_requests_a_minute() -> None:
    client = make(limits=Limits(requests_per_minute=3))
    answers = [client.post("/v1/find") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) == 20
    assert client.get("/health").status_code == 200  # asking costs nothing


def test_large_bodies_are_refused_by_their_length_and_as_they_come() -> None:
    client = make(limits=Limits(megabytes=0.001))
    assert client.post("/v1/age", content=bytes(1000)).text == "1000"
    for content in (bytes(1001), iter([bytes(600), bytes(600)])):  # the second has no Content-Length
        answer = client.post("/v1/age", content=content)
        assert (answer.status_code, answer.json()["error"]) == (413, "bytes")
    for length in ("many", "9" * 5000, "-1"):
        assert client.post("/v1/age", headers={"content-length": length}).status_code == 413


def test_bodies_are_not_taken_while_too_many_requests_wait() -> None:
    inner, sent = make(limits=Limits(queue_length=0)), []

    async def ask_within(scope, receive, send):
        """An application that asks the server again while it works."""
        await guard({**scope, "path": "/v1/find"}, receive, lambda message: keep(message))
        await echo(scope, receive, send)

    async def keep(message):
        sent.append(message)

    guard = Guard(ask_within, ServerConfig(limits=Limits(queue_length=0)), Metrics())
    assert TestClient(guard, base_url=str(inner.base_url)).post("/v1/age").status_code == 200
    assert sent[0]["status"] == 503


def test_slow_bodies_are_refused() -> None:
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"x", "more_body": True}

    config = ServerConfig(limits=Limits(body_seconds=0.1))
    scope = {"type": "http", "method": "POST", "path": "/v1/age", "headers": [(b"host", b"localhost")], "client": None}
    asyncio.run(Guard(echo, config, Metrics())(scope, receive, send))
    assert sent[0]["status"] == 408
    assert b"did not arrive" in sent[1]["body"]


def test_every_answer_has_the_security_headers_and_is_counted() -> None:
    metrics = Metrics()
    client = make(metrics=metrics, limits=replace(Limits(), requests_per_minute=1))
    for answer in (
        client.get("/anything"),
        client.post("/v1/age"),
        client.post("/v1/age"),
        client.get("/", headers={"host": "x"}),
    ):
        for name, text in SECURITY_HEADERS.items():
            assert answer.headers[name] == text
    text = metrics.to_text({})
    assert 'reage_requests_total{route="page",status="200"} 1' in text
    assert 'reage_requests_total{route="page",status="421"} 1' in text
    assert 'reage_requests_total{route="/v1/age",status="429"} 1' in text
    assert 'reage_request_seconds_count{route="/v1/age"} 2' in text


def test_web_sockets_are_not_answered() -> None:
    sent = []
    asyncio.run(Guard(echo, ServerConfig(), Metrics())({"type": "websocket"}, None, sent.append))
    assert sent == []


def test_a_page_that_is_open_does_not_keep_a_server_from_stopping() -> None:
    async def run() -> list[dict]:
        ended, is_asked = [], asyncio.Event()

        async def beat(scope, receive, send):
            await receive()
            is_asked.set()
            ended.append(await receive())

        async def receive():
            if not is_asked.is_set():
                return {"type": "http.request", "body": b""}
            return await asyncio.Event().wait()

        guard = Guard(beat, ServerConfig(), Metrics())
        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/x", "headers": headers, "client": None}
        task = asyncio.create_task(guard(scope, receive, None))
        await is_asked.wait()
        guard.stop()
        await asyncio.wait_for(task, 5)
        return ended

    assert asyncio.run(run()) == [{"type": "http.disconnect"}]
