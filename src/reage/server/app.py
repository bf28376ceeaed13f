"""The application: guard, API and page over one pool of workers; and running it."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

import reage
from reage.server.api import answer_refusal, build_last_router, build_router
from reage.server.config import ServerConfig
from reage.server.guard import Guard
from reage.server.job_api import build_job_router
from reage.server.jobs import Jobs
from reage.server.metrics import Metrics
from reage.server.repeats import RepeatedRequests
from reage.server.workers import WorkerPool


def build_app(config: ServerConfig) -> Guard:
    """The application of a server, for ASGI; its workers start at once, and end with its lifespan.

    Args:
        config: of the server.

    Example:
        >>> app = build_app(ServerConfig(with_page=False))  # doctest: +SKIP
    """
    pool, metrics, repeats = WorkerPool(config), Metrics(), RepeatedRequests(config.limits)
    MultiPartParser.spool_max_size = round(config.limits.megabytes * 1e6)  # no photo becomes a file
    folder = Path(tempfile.mkdtemp(prefix="reage-serve-"))
    jobs = Jobs(pool, config, folder / "jobs")

    @asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            jobs.stop()
            pool.stop()
            await jobs.finish_stopping()
            shutil.rmtree(folder, ignore_errors=True)

    app = FastAPI(title="reage", version=reage.__version__, docs_url=None, redoc_url=None, lifespan=live)
    for router in (
        build_router(pool, metrics, repeats, config),
        build_job_router(jobs, repeats, config),
        build_last_router(),
    ):
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer_refusal)
    if config.with_page:
        from reage.server.page import mount_page

        app = mount_page(app, pool, jobs, config, folder)
    return Guard(app, config, metrics, on_stop=jobs.stop)


def run_server(config: ServerConfig) -> None:
    """Serves until the process is asked to stop; then finishes what is being answered, and cancels jobs."""
    make_server(config, build_app(config)).run()


def make_server(config: ServerConfig, app: Guard) -> uvicorn.Server:
    """A server that is not started yet.

    Args:
        config: of the server.
        app: that answers.
    """

    class Server(uvicorn.Server):
        """Ends what would go on for long before it waits for the end of all answers."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.stop()
            await super().shutdown(sockets)

    settings = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=round(config.limits.seconds),
        limit_concurrency=20 * (config.num_workers + config.limits.queue_length),
    )
    return Server(settings)
