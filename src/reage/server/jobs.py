"""Jobs: videos and zips of photos, which take longer than a request may; one is worked on, the others wait.

A video is aged by a process of its own, which may die without harm to anything else; the photos of a zip one after the
other by the workers that also answer requests. The files of a job lie in a folder of the server, and are deleted when
its result has been fetched, when it is deleted or forgotten, and when the server stops.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal

from reage.files import VIDEO_SUFFIXES, shorten_name
from reage.server.config import ServerConfig
from reage.server.guard import Refused
from reage.server.job_files import find_kind, list_photos, read_entry
from reage.server.refusals import check_answer, hide_paths, refuse_work, run_task
from reage.server.tasks import AgeTask, VideoTask, list_names
from reage.server.workers import MAX_GROWTH, Progress, Worker, WorkerPool, WorkRefused

_RETRY_SECONDS = 0.5
_KEEP_ALIVE_SECONDS = 15.0
_GRACE_SECONDS = 5.0
_OUTPUT_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(kw_only=True)
class Job:
    """A job and how far it has come.

    Args:
        id: that only who gave it knows.
        kind: of its file.
        folder: of its files.
        task: what to do with each photo or person.
        seconds: of a video to age; None for all.
    """

    id: str
    kind: Literal["video", "photos"]
    folder: Path
    task: AgeTask
    seconds: float | None = None
    state: State = "waiting"
    progress: Progress = Progress("", 0, 0)
    error: str = ""
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    result: Path | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[None] | None = None
    started_at: float = 0.0
    ended_at: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def source(self) -> Path:
        """Its file."""
        return next(self.folder.glob("source*"))

    def advance(self, progress: Progress) -> None:
        """Notes how far it has come."""
        if not self.is_over:
            self.progress = progress
            self._wake()

    def change(self, state: State, error: str = "", message: str = "") -> None:
        """Notes that it starts or ends, and why."""
        self.state, self.error, self.message = state, error, message
        if state == "running":
            self.started_at = time.monotonic()
        else:
            self.ended_at = time.monotonic()
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def follow(self) -> AsyncIterator[bool]:
        """True at once and at every change until it is over, False where nothing has changed for some seconds."""
        while True:
            changed = self.changed
            yield True
            while not (changed.is_set() or self.is_over):
                try:
                    await asyncio.wait_for(changed.wait(), _KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield False
            if self.is_over and changed is self.changed:
                return

    def to_json(self) -> dict[str, Any]:
        """Its state as plain values."""
        until = self.ended_at or time.monotonic()
        refused = {"error": self.error, "message": self.message} if self.error else {}
        done = {"result": f"/v1/jobs/{self.id}/result", "outcome": self.values} if self.state == "done" else {}
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "step": self.progress.step,
            "done": self.progress.done,
            "total": self.progress.total,
            "seconds": round(until - self.started_at, 1) if self.started_at else 0.0,
            **refused,
            **done,
        }


class Jobs:
    """The jobs of a server; all methods are for its event loop.

    Args:
        pool: ages the photos of zips.
        config: of the server.
        folder: for the files of jobs.
    """

    def __init__(self, pool: WorkerPool, config: ServerConfig, folder: Path) -> None:
        self._pool, self._config, self._limits, self._folder = pool, config, config.limits, folder
        self._jobs: dict[str, Job] = {}
        self._turn = asyncio.Semaphore(1)
        self._stopped = False

    @property
    def count(self) -> int:
        """How many wait, are worked on, or have a result that is kept."""
        return len(self._jobs)

    def find(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            Refused: when there is none.
        """
        if job_id not in self._jobs:
            raise Refused(404, "job", "There is no such job; it was fetched, deleted, or kept for as long as jobs are.")
        return self._jobs[job_id]

    async def add(self, file: BinaryIO, name: str, task: AgeTask, seconds: float | None = None) -> Job:
        """A new job, which starts when those before it are over.

        Args:
            file: a video, or a zip of photos.
            name: of the file.
            task: what to do; its photo is not looked at.
            seconds: of a video to age; None for all.

        Raises:
            Refused: when there are too many jobs, or the file or the task is for none.
        """
        if self._stopped:
            raise Refused(503, "stopping", "The server is stopping; try again later.")
        if self.count >= self._limits.num_jobs:
            raise Refused(
                503, "busy", f"There are {self.count} jobs already; fetch or delete one.", {"retry-after": "10"}
            )
        kind = find_kind(file)
        _check_task(kind, task, seconds)
        job = Job(id=secrets.token_urlsafe(16), kind=kind, folder=self._folder, task=task, seconds=seconds)
        job.folder = self._folder / job.id
        self._jobs[job.id] = job
        try:
            await asyncio.to_thread(self._store, job, file, name)
        except BaseException:
            await self.remove(job)
            raise
        job.work = asyncio.create_task(self._run(job))
        return job

    def _store(self, job: Job, file: BinaryIO, name: str) -> None:
        job.folder.mkdir(mode=0o700, parents=True)
        suffix = Path(list_names([name])[0]).suffix.lower()
        source = job.folder / f"source{suffix if suffix in VIDEO_SUFFIXES else ''}"
        with source.open("wb") as stored:
            shutil.copyfileobj(file, stored, 2**20)
        if job.kind == "photos":
            list_photos(source, self._limits.job_photos)

    async def remove(self, job: Job) -> None:
        """Ends a job and deletes all that there is of it."""
        await _end(job)
        await asyncio.to_thread(shutil.rmtree, job.folder, True)
        self._jobs.pop(job.id, None)

    def stop(self) -> None:
        """Takes no more jobs, and cancels all, so that nobody waits for them."""
        self._stopped = True
        for job in self._jobs.values():
            if job.work is not None:
                job.work.cancel()

    async def finish_stopping(self) -> None:
        """Waits until all jobs that were cancelled have ended."""
        await asyncio.gather(*(_end(job) for job in self._jobs.values()))

    async def _run(self, job: Job) -> None:
        try:
            async with self._turn:
                job.change("running")
                async with asyncio.timeout(self._limits.job_seconds):
                    await (self._age_video(job) if job.kind == "video" else self._age_photos(job))
            job.change("done")
        except TimeoutError:
            seconds = self._limits.job_seconds
            job.change("failed", "time", f"It took longer than the {seconds:g} s that are allowed; give a part of it.")
        except Refused as refusal:
            job.change("failed", refusal.kind, str(refusal.detail))
        except asyncio.CancelledError:
            job.change("cancelled", "cancelled", "The job was cancelled, or the server is stopping.")
        except Exception as error:
            job.change("failed", "fault", f"The server failed at it ({type(error).__name__}); please report it.")
        if not self._stopped:
            asyncio.get_running_loop().call_later(self._limits.kept_seconds, self._forget, job)

    def _forget(self, job: Job) -> None:
        shutil.rmtree(job.folder, ignore_errors=True)
        self._jobs.pop(job.id, None)

    # Videos

    async def _age_video(self, job: Job) -> None:
        suffix = job.source.suffix if job.source.suffix in _OUTPUT_SUFFIXES else ".mp4"
        output = job.folder / f"aged{suffix}"
        given = job.task
        task = VideoTask(
            source=job.source,
            output=output,
            plan=given.plan,
            faces=given.faces,
            engine=given.engine,
            seconds=job.seconds,
        )
        job.values = hide_paths((await self._work_alone(job, task)).values)
        job.result = output

    async def _work_alone(self, job: Job, task: VideoTask) -> Any:
        """What a process that is started for a task alone answers to it."""
        loop, worker = asyncio.get_running_loop(), Worker(self._config)
        until = time.monotonic() + self._limits.job_seconds + _GRACE_SECONDS

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(job.advance, progress)

        work = asyncio.ensure_future(asyncio.to_thread(worker.work, task, until, report))
        try:
            return check_answer(await asyncio.shield(work))
        except WorkRefused as refusal:
            raise refuse_work(refusal) from None
        finally:
            worker.process.kill()
            await asyncio.gather(work, return_exceptions=True)
            worker.end()

    # Photos

    async def _age_photos(self, job: Job) -> None:
        photos = await asyncio.to_thread(list_photos, job.source, self._limits.job_photos)
        output, outcomes = job.folder / "aged.zip", list[dict[str, Any]]()
        with zipfile.ZipFile(job.source) as archive, zipfile.ZipFile(output, "w") as made:
            for number, (name, entry) in enumerate(photos):
                job.advance(Progress("aging", number, len(photos)))
                outcomes.append({"photo": name, **await self._age_photo(job, archive, entry, made, name)})
                if output.stat().st_size > MAX_GROWTH * self._limits.job_megabytes * 1e6:
                    raise Refused(422, "bytes", "The results have too many bytes; give fewer photos.")
            made.writestr("report.json", json.dumps(outcomes, indent=1))
        job.advance(Progress("aging", len(photos), len(photos)))
        failed = [one["photo"] for one in outcomes if "error" in one]
        job.values = {"photos": outcomes, "aged": len(outcomes) - len(failed), "failed": len(failed)}
        job.result = output

    async def _age_photo(
        self, job: Job, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, made: zipfile.ZipFile, name: str
    ) -> dict[str, Any]:
        """What became of a photo, whose result is added to the zip that is made."""
        try:
            content = await asyncio.to_thread(read_entry, archive, entry, self._limits.megabytes)
            answer = await self._work_when_free(replace(job.task, photo=content))
        except Refused as refusal:
            return {"error": refusal.kind, "message": str(refusal.detail)}
        age = job.task.plan.age
        ending = f"-{'aged' if age is None else format(age, 'g')}{answer.suffix}"
        result = list_names([*made.namelist(), shorten_name(Path(name).stem, ending)])[-1]
        await asyncio.to_thread(made.writestr, result, answer.picture)
        return {"result": result, **hide_paths(answer.values)}

    async def _work_when_free(self, task: AgeTask) -> Any:
        """The answer of a worker, after waiting for as long as requests keep all busy."""
        while True:
            try:
                return await run_task(self._pool, task)
            except Refused as refusal:
                if refusal.kind != "busy":
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


async def _end(job: Job) -> None:
    if job.work is not None and job.work is not asyncio.current_task():
        job.work.cancel()
        await asyncio.wait([job.work])


def _check_task(kind: str, task: AgeTask, seconds: float | None) -> None:
    """Refuses fields that mean nothing for a file of this kind."""
    if kind == "photos":
        if seconds is not None:
            raise Refused(422, "field", "The field 'seconds' is for videos, and this is a zip of photos; leave it out.")
        return
    if task.plan.skin:
        raise Refused(422, "field", "The field 'skin' is for photos, and this is a video; leave it out.")
    if seconds is not None and not seconds > 0:
        raise Refused(422, "field", f"The field 'seconds' is {seconds:g}; give a number above 0.")
    if find_spec("av") is None:
        raise Refused(501, "video", "This server reads no videos; install reage[video] beside it.")
