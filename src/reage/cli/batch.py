"""`reage batch`: the photos of a store, in many processes or on many computers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import reage
from reage.cli.extras import require_extra
from reage.cli.options import AsJson, AsJsonLines, MaxMegapixels
from reage.cli.request import AgeRequest
from reage.cli.run_report import ReportOptions, RunReport
from reage.engines import DEFAULT_ENGINE
from reage.errors import PlanError, ReageError
from reage.plan_texts import parse_faces, parse_skin, parse_zones
from reage.types import Plan

if TYPE_CHECKING:
    from reage.cluster import ClusterRun, Place
    from reage.pipeline import Reager


def batch(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A folder, or an address such as s3://bucket/photos; read to any depth.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="Folder or address for the results and the manifest.")
    ],
    to: Annotated[float | None, typer.Option(metavar="AGE", help="Target age in years, 1 to 100.")] = None,
    zones: Annotated[
        str | None, typer.Option(metavar="NAME=SCORE,...", help="Zone scores or a preset, see `reage age`.")
    ] = None,
    skin: Annotated[
        str | None, typer.Option(metavar="NAME=SCORE,...", help="Scores of dark spots and redness, see `reage age`.")
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the change that is applied, 0 to 1.5.")
    ] = Plan.strength,
    face: Annotated[
        str | None, typer.Option(metavar="all|largest|N,...", help=f"The faces to age, {AgeRequest.faces} by default.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Engine, see `reage engines`.")] = DEFAULT_ENGINE,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of the engine, at this path on every computer.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of engines that draw random numbers.")] = Plan.seed,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Ray cluster to join, or auto; by default Ray is started here, alone."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Most processes, about 1 GB each; by default one for each core or card."),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Most photos that a worker takes at once, 32; some hundreds for millions."
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(metavar="DEVICE", help="auto for graphics cards where the cluster has some, cpu, cuda, directml."),
    ] = "auto",
    max_megapixels: MaxMegapixels = None,
    failures_only: Annotated[bool, typer.Option("--quiet", help="No line for each photo, no bar; failures only.")] = (
        False
    ),
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also name what is left out, and show where an unexpected error arose.")
    ] = False,
    as_json: AsJson = False,
    as_json_lines: AsJsonLines = False,
) -> None:
    """Age the photos of a folder or store in many processes or on many computers, and list them in a manifest.

    Repeat the command to go on after a stop: what the manifest says is finished is not done again.
    """
    require_extra("ray")
    if as_json and as_json_lines:
        raise PlanError("--json and --jsonl exclude each other; give one of them.")
    request = AgeRequest(
        source=Path(),
        output=None,
        plan=Plan(age=to, zones=parse_zones(zones), strength=strength, seed=seed, skin=parse_skin(skin)),
        faces=AgeRequest.faces if face is None else parse_faces(face),
        engine=engine,
        device=device,
        as_json=as_json or as_json_lines,
        max_megapixels=max_megapixels,
        weights=None if weights is None else weights.absolute(),  # workers have folders of their own
    )
    from reage.pipeline import describe_clipped_ages

    note = describe_clipped_ages(request.engine_class(), [request.plan.age])
    options = ReportOptions(failures_only=failures_only, verbose=verbose, as_json=as_json, as_json_lines=as_json_lines)
    run = _prepare(request, _open(source), _open(output), address, workers, block)
    report = RunReport(
        source=source,
        output=output,
        num_photos=len(run.listing.pictures),
        left_out=run.listing.left_out,
        options=options,
        how="repeat the command",
    )
    start = len(run.config.source.address_of(""))
    try:
        with report.progress(), closing(iter(run)) as outcomes:
            for outcome in outcomes:
                report.add(str(outcome.source)[start:], outcome, note)
    except KeyboardInterrupt:
        report.print_interrupt()
        raise typer.Exit(130) from None
    report.print_summary()
    if report.count("failed"):
        raise typer.Exit(1)


def _open(address: str) -> Place:
    """A place that all workers can reach.

    Raises:
        ReageError: when they cannot, or no installed package knows such addresses.
    """
    from reage.cluster import Place

    if address.startswith("memory:"):
        raise ReageError(f"'{address}' is the memory of one process, and workers have their own; give another place.")
    return Place(address)


def _prepare(
    request: AgeRequest, source: Place, output: Place, address: str | None, workers: int | None, block: int | None
) -> ClusterRun:
    from reage.cluster import ClusterRun, Manifest, RayPool, WorkerConfig
    from reage.cluster.pictures import list_pictures
    from reage.cluster.run import PICTURES_PER_BLOCK, name_run
    from reage.images import MAX_MEGAPIXELS

    listing = list_pictures(source, output)
    output.check_writable()
    config = WorkerConfig(
        load=partial(_load_reager, request),
        plan=request.plan,
        faces=request.faces,
        max_megapixels=request.max_megapixels or MAX_MEGAPIXELS,
        source=source,
        output=output,
        manifest=Manifest(output, _describe_settings(request, source), _describe_run(request, source, output)),
        run=name_run(),
    )
    return ClusterRun(
        listing=listing,
        config=config,
        pool=RayPool(address=address, max_workers=workers, device=request.device),
        pictures_per_block=block or PICTURES_PER_BLOCK,
    )


def _load_reager(request: AgeRequest, device: str) -> Reager:
    return replace(request, device=device).load_reager()


def _describe_settings(request: AgeRequest, source: Place) -> str:
    """A text that differs where results differ; a run may go on with other devices."""
    left_out = ("source", "output", "as_json", "device")
    named = {one.name: getattr(request, one.name) for one in fields(request) if one.name not in left_out}
    return repr({**named, "source": source.address, "version": reage.__version__})


def _describe_run(request: AgeRequest, source: Place, output: Place) -> dict[str, Any]:
    values = {one.name: getattr(request.plan, one.name) for one in fields(request.plan)}
    plan = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items() if value}
    return {
        "input": source.address,
        "output": output.address,
        "engine": request.engine,
        "plan": plan,
        "version": reage.__version__,
    }
