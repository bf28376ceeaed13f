"""The routes of jobs: give a file, follow it, fetch the result, delete it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, File, Form, UploadFile
from starlette.responses import JSONResponse, Response, StreamingResponse

from reage.server.api import (
    REFUSALS,
    AgeField,
    AgeFromField,
    FacesField,
    Key,
    SeedField,
    SkinField,
    StrengthField,
    ZonesField,
    parse_age_task,
)
from reage.server.config import ServerConfig
from reage.server.guard import JOBS_PATH, Refused
from reage.server.jobs import Job, Jobs
from reage.server.repeats import RepeatedRequests
from reage.types import Plan

_CHUNK_BYTES = 2**20
_MEDIA_TYPES = {
    ".zip": "application/zip",
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}


def build_job_router(jobs: Jobs, repeats: RepeatedRequests, config: ServerConfig) -> APIRouter:
    """The routes of jobs.

    Args:
        jobs: does them.
        repeats: keep answers by their keys.
        config: of the server.
    """
    router = APIRouter()

    @router.post(JOBS_PATH, status_code=202, summary="Age a video, or a zip of photos", responses=REFUSALS)
    async def add_job(
        file: Annotated[UploadFile, File(description="A video, or a zip of photos.")],
        age: AgeField = None,
        zones: ZonesField = None,
        strength: StrengthField = Plan.strength,
        engine: Annotated[str, Form(description="See /v1/engines.")] = config.engine,
        face: FacesField = "all",
        seed: SeedField = Plan.seed,
        age_from: AgeFromField = None,
        skin: SkinField = None,
        seconds: Annotated[float | None, Form(description="Only so much of a video, from its start.")] = None,
        idempotency_key: Key = None,
    ) -> Response:
        """The id and the state of a new job; `Location` is its address."""
        task = parse_age_task(
            b"", age, zones, strength, engine, face, seed, engines=config.engines, age_from=age_from, skin=skin
        )
        name = file.filename or ""

        async def make() -> Response:
            values = (await jobs.add(file.file, name, task, seconds)).to_json()
            return JSONResponse(values, 202, headers={"location": f"{JOBS_PATH}/{values['id']}"})

        digest = b"" if idempotency_key is None else await asyncio.to_thread(_hash, file.file)
        return await repeats.answer(idempotency_key, (digest, name, repr(task), seconds), make)

    @router.get(JOBS_PATH + "/{job_id}", summary="How far a job has come", responses=_UNKNOWN)
    async def show_job(job_id: str) -> dict[str, Any]:
        """State, step, how much of it is done; when it is done, what was read and where the result is."""
        return jobs.find(job_id).to_json()

    @router.get(
        JOBS_PATH + "/{job_id}/events",
        summary="Follow a job",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}, **_UNKNOWN},
    )
    async def follow_job(job_id: str) -> Response:
        """Server-sent events until it is over, each named by the state of the job, with the JSON of `GET` as data."""
        return StreamingResponse(_list_events(jobs.find(job_id)), media_type="text/event-stream")

    @router.get(
        JOBS_PATH + "/{job_id}/result",
        summary="Fetch the result of a job, which is then deleted",
        response_class=StreamingResponse,
        responses={409: {"description": "There is no result, or not yet."}, **_UNKNOWN},
    )
    async def fetch_result(job_id: str) -> Response:
        """The aged video, or a zip with the aged photos and report.json."""
        job = jobs.find(job_id)
        if job.result is None or job.state != "done":
            raise Refused(409, "job", job.message or "The job is not done yet; wait for its event 'done'.")
        headers = {
            "content-length": str(job.result.stat().st_size),
            "content-disposition": f'attachment; filename="aged{job.result.suffix}"',
        }
        return StreamingResponse(_send(jobs, job), media_type=_MEDIA_TYPES[job.result.suffix], headers=headers)

    @router.delete(JOBS_PATH + "/{job_id}", status_code=204, summary="Cancel and delete a job", responses=_UNKNOWN)
    async def delete_job(job_id: str) -> None:
        """Nothing; all that there is of the job is deleted."""
        await jobs.remove(jobs.find(job_id))

    return router


_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such job, or no longer."}}


async def _list_events(job: Job) -> AsyncIterator[str]:
    async for is_new in job.follow():
        yield f"event: {job.state}\ndata: {json.dumps(job.to_json())}\n\n" if is_new else ": still here\n\n"


async def _send(jobs: Jobs, job: Job) -> AsyncIterator[bytes]:
    """The bytes of a result; the job is deleted after the last one, and kept where who fetches it goes away before."""
    assert job.result is not None
    with job.result.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
    await jobs.remove(job)


def _hash(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.digest()
