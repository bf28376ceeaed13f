"""The API under /v1, /health and /metrics: the same checks as the command line, and a sentence for every refusal."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reage.engines import describe_engine
from reage.errors import EngineError, ReageError
from reage.plan_texts import parse_box, parse_faces, parse_skin, parse_zones
from reage.provenance import SIGNED_SUFFIXES
from reage.server.config import ServerConfig
from reage.server.guard import Refused
from reage.server.metrics import Metrics
from reage.server.refusals import describe_for_form, hide_paths, name_error, run_task
from reage.server.repeats import RepeatedRequests
from reage.server.tasks import AgeTask, Answer, CompareTask, FindTask, MeasureTask, Task
from reage.server.workers import WorkerPool
from reage.types import Plan

MEDIA_TYPES = {**SIGNED_SUFFIXES, ".bmp": "image/bmp", ".jp2": "image/jp2", ".j2k": "image/jp2", ".hif": "image/heic"}
_JSON = "application/json"

Photo = Annotated[UploadFile, File(description="A picture file.")]
BoxField = Annotated[str | None, Form(description="A face by hand: left,top,right,bottom px in the upright photo.")]
AgeField = Annotated[float | None, Form(description="Target age in years, 1 to 100.")]
ZonesField = Annotated[str | None, Form(description="NAME=SCORE,... from 0 to 1, or a preset.")]
StrengthField = Annotated[float, Form(description="Share of the change, 0 to 1.5.")]
FacesField = Annotated[str, Form(description="all, largest, or numbers of /v1/find, as in 1,3.")]
SeedField = Annotated[int, Form(description="For engines that draw random numbers.")]
AgeFromField = Annotated[float | None, Form(description="Age of the person; measured by default.")]
SkinField = Annotated[str | None, Form(description="dark_spots=SCORE,redness=SCORE from 0 to 1.")]
Key = Annotated[str | None, Header(description="The same request with the same key again gets the kept answer.")]


def build_router(pool: WorkerPool, metrics: Metrics, repeats: RepeatedRequests, config: ServerConfig) -> APIRouter:
    """The routes of the API.

    Args:
        pool: does the work.
        metrics: are shown by /metrics.
        repeats: keep answers by their keys.
        config: of the server.
    """
    router = APIRouter()

    async def work(task: Task) -> Answer:
        return await run_task(pool, task)

    @router.post("/v1/age", summary="Change the apparent age of the faces of a photo", responses=REFUSALS)
    async def age_photo(
        request: Request,
        photo: Photo,
        age: AgeField = None,
        zones: ZonesField = None,
        strength: StrengthField = Plan.strength,
        engine: Annotated[str, Form(description="See /v1/engines.")] = config.engine,
        face: FacesField = "all",
        seed: SeedField = Plan.seed,
        age_from: AgeFromField = None,
        skin: SkinField = None,
        box: BoxField = None,
        frame: Annotated[int | None, Form(ge=1, description="One page or frame; all by default.")] = None,
        idempotency_key: Key = None,
    ) -> Response:
        """The aged picture in the format of the photo; how it was made is JSON in the header X-Reage.

        With `Accept: application/json` the answer is JSON, with the picture in base64.
        """
        task = parse_age_task(
            await photo.read(),
            age,
            zones,
            strength,
            engine,
            face,
            seed,
            engines=config.engines,
            age_from=age_from,
            skin=skin,
            box=box,
            frame=frame,
        )
        as_json = wants_json(request.headers.get("accept", ""))

        async def make() -> Response:
            return make_response(await work(task), as_json=as_json)

        return await repeats.answer(idempotency_key, (task.photo, repr(replace(task, photo=b"")), as_json), make)

    @router.post("/v1/find", summary="Find the faces of a photo", responses=REFUSALS)
    async def find_faces(photo: Photo, box: BoxField = None) -> dict[str, Any]:
        """Number, box, score, landmarks and pose of each face, the largest first."""
        return (await work(FindTask(photo=await photo.read(), box=_parse(parse_box, box, "box")))).values

    @router.post("/v1/measure", summary="Measure the faces of a photo", responses=REFUSALS)
    async def measure_faces(
        photo: Photo,
        age: Annotated[float | None, Form(description="Also the zone scores to expect at this age.")] = None,
        box: BoxField = None,
    ) -> dict[str, Any]:
        """Age with spread, zones, skin, quality, and why the age may be wrong, of each face."""
        plan = None if age is None else _check(lambda: Plan(age=age))
        task = MeasureTask(photo=await photo.read(), plan=plan, box=_parse(parse_box, box, "box"))
        return (await work(task)).values

    @router.post("/v1/compare", summary="Whether two photos show one person", responses=REFUSALS)
    async def compare_photos(photo: Photo, other: Photo) -> dict[str, Any]:
        """The distance of the largest faces of both photos, the verdict, and the years between them."""
        return (await work(CompareTask(photo=await photo.read(), other=await other.read()))).values

    @router.get("/v1/engines", summary="List the engines")
    async def list_engines() -> dict[str, Any]:
        """What each engine accepts, and for which ages it was made."""
        described = await asyncio.to_thread(lambda: [describe_engine(name, load=False) for name in config.engines])
        return {"engines": hide_paths(described)}

    @router.get("/health", summary="Whether the server works")
    async def check_health() -> dict[str, Any]:
        """The number of workers, and of requests that wait or are worked on."""
        return {"status": "ok", "workers": len(pool.process_ids), "waiting": pool.waiting}

    @router.get("/metrics", summary="Counts for Prometheus", response_class=PlainTextResponse)
    async def show_metrics() -> str:
        """Requests by route and status, seconds, workers, queue."""
        gauges = {
            "reage_workers": len(pool.process_ids),
            "reage_waiting_requests": pool.waiting,
            "reage_worker_restarts": pool.restarts,
        }
        return metrics.to_text(gauges)

    return router


def build_last_router() -> APIRouter:
    """Refuses what no other route of the API answers, before the page sees it."""
    router = APIRouter()

    @router.api_route("/v1/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def refuse_path(path: str) -> None:
        known = path in ("age", "find", "measure", "compare", "engines", "jobs")
        raise HTTPException(405 if known else 404)

    return router


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The token is missing or wrong."},
    408: {"description": "The request arrived too slowly."},
    413: {"description": "The request has too many bytes."},
    422: {"description": "The photo or a field cannot be used; the message says why."},
    429: {"description": "Too many requests a minute."},
    503: {"description": "Too many requests wait, or the worker was ended."},
    504: {"description": "It took too long."},
}


def parse_age_task(
    photo: bytes,
    age: float | None,
    zones: str | None,
    strength: float,
    engine: str,
    face: str,
    seed: int,
    *,
    engines: Sequence[str],
    age_from: float | None = None,
    skin: str | None = None,
    box: str | None = None,
    frame: int | None = None,
    **further: Any,
) -> AgeTask:
    """The task of these fields, checked as the command line checks its options.

    Raises:
        Refused: when a field is out of its range.
    """

    def check() -> AgeTask:
        if engine not in engines:
            raise EngineError(f"There is no engine '{engine[:80]}' here; choose one of {', '.join(engines)}.")
        plan = Plan(
            age=age,
            zones=parse_zones(zones or None, "zones"),
            strength=strength,
            seed=seed,
            age_from=age_from,
            skin=parse_skin(skin or None, "skin"),
        )
        return AgeTask(
            photo=photo,
            plan=plan,
            faces=parse_faces(face, "face"),
            engine=engine,
            box=parse_box(box or None, "box"),
            frame=frame,
            **further,
        )

    return _check(check)


def make_response(answer: Answer, *, as_json: bool) -> Response:
    """The answer to /v1/age: the picture with a header, or everything as JSON."""
    media_type, values = MEDIA_TYPES[answer.suffix], hide_paths(answer.values)
    if as_json:
        encoded = base64.b64encode(answer.picture).decode()
        return JSONResponse({**values, "media_type": media_type, "picture": encoded})
    headers = {
        "x-reage": json.dumps(values, separators=(",", ":")),
        "content-disposition": f'inline; filename="aged{answer.suffix}"',
    }
    return Response(answer.picture, media_type=media_type, headers=headers)


def wants_json(accept: str) -> bool:
    """Whether an Accept header names JSON, and no picture before it."""
    for part in accept.lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind == _JSON:
            return True
        if kind.startswith("image/"):
            return False
    return False


# Refusals


async def answer_refusal(_: Request, error: Exception) -> Response:
    """The body of a refusal: {"error": a word, "message": a sentence}."""
    if isinstance(error, Refused):
        return error.to_response()
    if isinstance(error, RequestValidationError):
        return Refused(422, "field", _describe_field(error)).to_response()
    status = error.status_code if isinstance(error, HTTPException) else 500
    known = {404: "There is nothing here; see /openapi.json.", 405: "This address takes another method."}
    known[500] = "The server failed at it, by a fault of reage; please report it."
    sentence = known.get(status, "The request cannot be read; send a multipart form.")
    return Refused(status, "request", sentence, getattr(error, "headers", None)).to_response()


def _describe_field(error: RequestValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][-1])
    if first["type"] == "missing":
        return f"The field '{name}' is missing; send it in a multipart form."
    given = first.get("input")
    shown = f" is {str(given)[:80]!r}" if isinstance(given, str | int | float) else ""
    return f"The field '{name}'{shown}: {first['msg'][:1].lower()}{first['msg'][1:]}."


def _parse(parser: Callable[[str | None, str], Any], text: str | None, name: str) -> Any:
    return _check(lambda: parser(text or None, name))


def _check(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ReageError as error:
        raise Refused(422, name_error(type(error).__name__), describe_for_form(str(error))) from None
