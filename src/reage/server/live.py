"""The page of `reage live`: the aged camera as Motion JPEG, with the age as a slider, behind the server's guard."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from reage.errors import ReageError
from reage.images import Image, encode_image
from reage.server.config import Limits, ServerConfig
from reage.server.guard import App, Guard
from reage.server.metrics import Metrics
from reage.video.live import LiveSession

_BOUNDARY = "frame"
_WAIT_SECONDS = 1.0

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>reage live</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body { margin: 0; font: 16px/1.4 system-ui, sans-serif; background: #14161a; color: #e8e8ea; text-align: center }
 img { max-width: 100%; max-height: 80vh; display: block; margin: 0 auto }
 form { padding: 1rem } input[type=range] { width: min(40rem, 80vw); vertical-align: middle }
</style></head><body>
<img src="/stream" alt="The camera, aged">
<form><label for="age">Age <output id="shown">AGE</output></label>
<input id="age" type="range" min="5" max="95" step="1" value="AGE"></form>
<p id="state" role="status"></p>
<script>
const slider = document.getElementById("age"), shown = document.getElementById("shown");
slider.oninput = () => { shown.value = slider.value };
slider.onchange = () => fetch("/age", {method: "POST", body: JSON.stringify({age: Number(slider.value)})});
setInterval(async () => {
  const state = await (await fetch("/state")).json();
  document.getElementById("state").textContent = state.error ||
    `${state.frames_per_second} frames a second` +
    (state.looks ? `, looks ${Math.round(state.looks)}` : ", no face yet") +
    (state.looks && state.shown_age !== state.age ? ", learning" : "");
}, 1000);
</script></body></html>
"""


def build_live_app(session: LiveSession, config: ServerConfig) -> App:
    """The application of a session, for ASGI: its page, `/stream`, `/state`, and `/age`, to which an age is posted."""

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE.replace("AGE", f"{session.live.age:g}"))

    async def state(_: Request) -> Response:
        return JSONResponse(session.to_json())

    async def set_age(request: Request) -> Response:
        try:
            session.live.age = float(json.loads(await request.body())["age"])
        except ReageError as error:
            return JSONResponse({"error": "age", "message": str(error)}, 422)
        except (ValueError, KeyError, TypeError):
            message = 'Post an age in years, as in {"age": 70}.'
            return JSONResponse({"error": "age", "message": message}, 422)
        return JSONResponse(session.to_json())

    async def stream(_: Request) -> Response:
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(_stream(session), media_type=kind)

    routes = [
        Route("/", page),
        Route("/state", state),
        Route("/age", set_age, methods=["POST"]),
        Route("/stream", stream),
    ]
    return Guard(Starlette(routes=routes), config, Metrics())


async def _stream(session: LiveSession) -> AsyncIterator[bytes]:
    """The newest frame, again and again, each as a JPEG that is marked as altered."""
    number = 0
    while True:
        found = await anyio.to_thread.run_sync(session.shown.take, number, _WAIT_SECONDS)
        if found is None and session.shown.is_closed:
            return
        if found is None:
            continue
        number, (_, aged) = found
        content = await anyio.to_thread.run_sync(encode_image, Image(pixels=aged), ".jpg")
        head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
        yield head.encode() + content + b"\r\n"


def run_live(session: LiveSession, port: int, ready: Callable[[], None]) -> None:
    """Serves a session on loopback until the process is asked to stop, or the camera ends."""
    import uvicorn

    config = ServerConfig(port=port, limits=Limits(megabytes=0.1))
    settings = uvicorn.Config(
        build_live_app(session, config),
        host=config.host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    ready()
    uvicorn.Server(settings).run()
