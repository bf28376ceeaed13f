"""`reage serve`: a page for people and an API for programs, on this computer."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from reage.cli.extras import require_extra
from reage.cli.options import Device, Key, Sign
from reage.engines import DEFAULT_ENGINE


def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Interface; others than loopback need --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port of TCP.")] = 7860,
    token: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the token that every request must carry.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine by default, see `reage engines`.")] = (
        DEFAULT_ENGINE
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes, about 1 GB each; one for two cores by default.")
    ] = None,
    api_only: Annotated[bool, typer.Option("--api-only", help="No page; starts faster and without gradio.")] = False,
    max_megabytes: Annotated[float | None, typer.Option(min=0.1, metavar="N", help="Largest request; 32 MB.")] = None,
    max_megapixels: Annotated[float | None, typer.Option(min=0.001, metavar="N", help="Largest photo; 50.")] = None,
    max_faces: Annotated[int | None, typer.Option(min=1, metavar="N", help="Most faces in a photo; 16.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of one address to the API; 240.")
    ] = None,
    queue: Annotated[int | None, typer.Option(min=0, metavar="N", help="Requests that may wait; 16.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, metavar="N", help="For one request; 120.")] = None,
    max_jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Jobs that wait, run, or whose result is kept; 8.")
    ] = None,
    max_job_megabytes: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="Largest file of a job; 256 MB.")
    ] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Most frames of a video; 20,000.")] = None,
    job_seconds: Annotated[float | None, typer.Option(min=1, metavar="N", help="For one job; 3,600.")] = None,
    sign: Sign = None,
    key: Key = None,
    device: Device = "cpu",
) -> None:
    """Open a page for people and an API for programs; nothing leaves this computer, and nothing is kept.

    Stop it with Ctrl-C: requests that are being worked on are finished first, and jobs are cancelled.
    """
    require_extra("web")
    from reage.cli.request import choose_device, load_credentials
    from reage.engines import engine_class
    from reage.processes import count_cores
    from reage.server.config import Limits, ServerConfig, find_num_workers, read_token

    engine_class(engine)
    given: dict[str, Any] = {
        "megabytes": max_megabytes,
        "megapixels": max_megapixels,
        "num_faces": max_faces,
        "requests_per_minute": requests_per_minute,
        "queue_length": queue,
        "seconds": seconds,
        "num_jobs": max_jobs,
        "job_megabytes": max_job_megabytes,
        "job_frames": max_frames,
        "job_seconds": job_seconds,
    }
    assert set(given) <= {one.name for one in fields(Limits)}
    num_workers = workers or find_num_workers()
    config = ServerConfig(
        host=host,
        port=port,
        token=None if token is None else read_token(token),
        engine=engine,
        device=choose_device(device, engine),
        num_workers=num_workers,
        num_threads=max(1, count_cores() // num_workers),
        limits=replace(Limits(), **{name: value for name, value in given.items() if value is not None}),
        credentials=load_credentials(sign, key),
        with_page=not api_only,
    )
    from reage.server.app import run_server

    what = "API" if api_only else "page and API"
    shown = f"[{host}]" if ":" in host else host
    count = "1 worker" if num_workers == 1 else f"{num_workers} workers"
    typer.echo(f"reage serves its {what} at http://{shown}:{port}/ with {count}; Ctrl-C stops it.", err=True)
    run_server(config)
