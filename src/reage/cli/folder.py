"""`reage age FOLDER`: a run over the photos of a folder."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import reage
from reage.cli.request import AgeRequest
from reage.cli.run_report import ReportOptions, RunReport
from reage.engines import TORCH_ENGINES
from reage.errors import ImageError, PlanError

if TYPE_CHECKING:
    from reage.folders import FolderRun, Listing, ResumeFile


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """The options of `reage age` for a folder.

    Args:
        recursive: also age the folders inside.
        skip_existing: leave out photos whose result is there.
        resume: file that notes which photos are finished; None for none.
        num_jobs: number of processes; None to choose it.
        report: how much is printed.
    """

    recursive: bool = False
    skip_existing: bool = False
    resume: Path | None = None
    num_jobs: int | None = None
    report: ReportOptions = field(default_factory=ReportOptions)

    def check_unused(self, source: Path) -> None:
        """Checks that no option is given that means something for a folder only.

        Raises:
            PlanError: when one is.
        """
        given = {
            "--recursive": self.recursive,
            "--skip-existing": self.skip_existing,
            "--resume": self.resume is not None,
            "--jobs": self.num_jobs is not None,
        }
        for flag, is_given in given.items():
            if is_given:
                raise PlanError(f"{flag} is for a folder of photos, and '{source}' is none; leave it out.")


def age_folder(request: AgeRequest, options: FolderOptions) -> None:
    """Ages the photos of a folder, prints what becomes of each and a summary; exits with 1 when some failed."""
    from reage.folders import list_folder

    if request.output is None:
        raise ImageError(f"'{request.source}' is a folder; add -o FOLDER for its aged pictures.")
    listing = list_folder(request.source, request.output, recursive=options.recursive)
    run, report = _prepare(request, options, listing), _make_report(request, options, listing)
    try:
        with report.progress(), closing(iter(run)) as outcomes:
            for outcome in outcomes:
                report.add(str(Path(outcome.source).relative_to(request.source)), outcome, run.note)
    except KeyboardInterrupt:
        report.print_interrupt()
        raise typer.Exit(130) from None
    report.print_summary()
    if report.count("failed"):
        raise typer.Exit(1)


def _make_report(request: AgeRequest, options: FolderOptions, listing: Listing) -> RunReport:
    goes_on = options.skip_existing or options.resume is not None
    return RunReport(
        source=str(request.source),
        output=str(request.output),
        num_photos=len(listing.photos),
        left_out=[(str(path.relative_to(request.source)), reason) for path, reason in listing.skipped],
        options=options.report,
        how="repeat the command" if goes_on else "repeat the command with --skip-existing",
    )


def _prepare(request: AgeRequest, options: FolderOptions, listing: Listing) -> FolderRun:
    from reage.folders import FolderRun, ResumeFile, RunConfig, find_num_jobs
    from reage.images import MAX_MEGAPIXELS

    assert request.output is not None
    settings = _describe_settings(request)
    resume: ResumeFile | None = None if options.resume is None else ResumeFile(options.resume, settings)
    one_process = request.device != "cpu" or request.engine in TORCH_ENGINES
    config = RunConfig(
        plan=request.plan,
        faces=request.faces,
        output=request.output,
        settings=settings,
        skip_existing=options.skip_existing,
        max_megapixels=request.max_megapixels or MAX_MEGAPIXELS,
        references=request.references,
    )
    num_jobs = options.num_jobs or (1 if one_process else find_num_jobs(len(listing.photos)))
    return FolderRun(load=request.load_reager, listing=listing, config=config, resume=resume, num_jobs=num_jobs)


def _describe_settings(request: AgeRequest) -> str:
    """A text that differs where results differ: everything that was requested but where results go."""
    named = {one.name: getattr(request, one.name) for one in fields(request)}
    del named["output"], named["as_json"]
    return repr({**named, "source": request.source.resolve(), "version": reage.__version__})
