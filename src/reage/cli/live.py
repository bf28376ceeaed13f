"""`reage live`: age the camera, or a file as a camera, in a window or on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reage.cli.extras import require_extra
from reage.cli.options import Device
from reage.cli.video import load_reager
from reage.engines import DEFAULT_ENGINE
from reage.errors import PlanError
from reage.types import Plan

if TYPE_CHECKING:
    from reage.video.live import LiveSession


def live(
    source: Annotated[
        Path | None, typer.Argument(metavar="[VIDEO]", help="A file in place of a camera, played again and again.")
    ] = None,
    camera: Annotated[int | None, typer.Option(min=0, metavar="N", help="Number of the camera, 0 by default.")] = None,
    to: Annotated[float, typer.Option(metavar="AGE", help="Target age in years at the start, 1 to 100.")] = 70.0,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port of the page, on loopback.")] = 7861,
    window: Annotated[
        bool, typer.Option("--window", help="A window in place of the page; needs an OpenCV with windows.")
    ] = False,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine, see `reage engines`.")] = DEFAULT_ENGINE,
    device: Device = "cpu",
) -> None:
    """Age the largest face of the camera as fast as this computer can, with the age as a slider.

    Frames are dropped, never queued. Nothing is kept, and nothing leaves this computer. Stop it with Ctrl-C, or with q
    in the window.
    """
    Plan(age=to)
    if source is not None and camera is not None:
        raise PlanError("A file takes the place of a camera; give one of them.")
    require_extra("video") if window else require_extra("video", "web")
    from reage.video.live import read_as_camera, read_camera, start_session
    from reage.video.source import probe_video

    if window:
        from reage.images.window import check_windows

        check_windows()
    if source is not None:
        probe_video(source)
    frames = read_camera(camera or 0) if source is None else read_as_camera(source)
    session = start_session(load_reager(engine, device), frames, to)
    try:
        if window:
            _show(session, to)
        else:
            _serve(session, port)
    except KeyboardInterrupt:
        pass
    finally:
        session.stop()
    session.raise_error()


def _serve(session: LiveSession, port: int) -> None:
    from reage.server.live import run_live

    def say() -> None:
        typer.echo(f"reage live shows its page at http://127.0.0.1:{port}/; Ctrl-C stops it.", err=True)

    run_live(session, port, say)


def _show(session: LiveSession, age: float) -> None:
    from reage.images.window import Window

    number = 0
    with Window("reage live", "age", round(age), 95) as window:
        while (found := session.shown.take(number)) is not None:
            number, (_, aged) = found
            if not window.show(aged):
                return
            session.live.age = max(5, window.position)
