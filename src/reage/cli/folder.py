"""`reage age FOLDER`: a run over many photos, and what it says while it works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import reage
from reage.cli.console import print_json, print_table, stderr_console
from reage.cli.request import AgeRequest
from reage.engines import TORCH_ENGINES
from reage.errors import ImageError, PlanError

if TYPE_CHECKING:
    from rich.progress import Progress

    from reage.folders import FolderOutcome, FolderRun, Listing, ResumeFile


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """The options of `reage age` for a folder.

    Args:
        recursive: also age the folders inside.
        skip_existing: leave out photos whose result is there.
        resume: file that notes which photos are finished; None for none.
        num_jobs: number of processes; None to choose it.
        failures_only: print failures and the summary only.
        verbose: name what is left out, and show where unexpected errors arose.
        as_json_lines: print one JSON object for each photo.
    """

    recursive: bool = False
    skip_existing: bool = False
    resume: Path | None = None
    num_jobs: int | None = None
    failures_only: bool = False
    verbose: bool = False
    as_json_lines: bool = False

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
    run, report = _prepare(request, options, listing), _Report(request, options, listing)
    try:
        with report.progress(), closing(iter(run)) as outcomes:
            for outcome in outcomes:
                report.add(outcome, run.note)
    except KeyboardInterrupt:
        report.print_interrupt()
        raise typer.Exit(130) from None
    report.print_summary()
    if report.count("failed"):
        raise typer.Exit(1)


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


class _Report:
    """What a run says: a bar or a line for each photo on stderr, results and the summary on stdout."""

    def __init__(self, request: AgeRequest, options: FolderOptions, listing: Listing) -> None:
        self._request, self._options, self._listing = request, options, listing
        self._statuses: list[str] = []
        self._outcomes: list[FolderOutcome] = []  # only for --json, which prints one object at the end
        self._num_faces = 0
        self._console = stderr_console()
        self._bar: Progress | None = None
        self._has_note = False

    @contextmanager
    def progress(self) -> Iterator[None]:
        """A context with a bar, rate, time left and failures on a terminal; elsewhere `add` prints lines."""
        if self._options.failures_only or not self._console.is_terminal:
            yield
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[failures]}"),
        )
        with Progress(*columns, console=self._console, transient=True, expand=True) as self._bar:
            self._started = time.monotonic()
            self._bar.add_task("", total=len(self._listing.photos), rate="", failures="")
            yield

    def add(self, outcome: FolderOutcome, note: str) -> None:
        """Counts what became of a photo, and prints it."""
        if note and not self._has_note:
            self._has_note = True
            self._print(f"Note: {note}")
        self._statuses.append(outcome.status)
        self._num_faces += outcome.num_faces
        self._print_outcome(outcome)
        for found in outcome.values.get("notes", ()):
            if found != note and not self._options.failures_only:
                self._print(f"Note: {self._name(outcome.source)}: {found}")
        if self._options.as_json_lines:
            print_json(outcome.to_json(), in_one_line=True)
        elif self._request.as_json:
            self._outcomes.append(outcome)
        self._advance()

    def count(self, status: str) -> int:
        """How many photos became "aged", "failed" or "skipped"."""
        return self._statuses.count(status)

    def print_interrupt(self) -> None:
        """Prints how far the run came, and how to go on."""
        done, total, failed = (
            self.count("aged") + self.count("skipped"),
            len(self._listing.photos),
            self.count("failed"),
        )
        goes_on = self._options.skip_existing or self._options.resume is not None
        how = "repeat the command" if goes_on else "repeat the command with --skip-existing"
        failures = f", {failed} failed" if failed else ""
        self._print(f"Stopped: {done} of {total} pictures are done{failures}. To go on, {how}.")

    def print_summary(self) -> None:
        """Prints the numbers and, if wanted, what was left out."""
        left_out = [(self._name(path), reason) for path, reason in self._listing.skipped]
        if self._options.verbose:
            for name, reason in left_out:
                self._print(f"Left out: {name}: {reason}")
        if self._options.as_json_lines:
            return
        failed, skipped = self.count("failed"), self.count("skipped")
        if self._request.as_json:
            head = {"input": str(self._request.source), "output": str(self._request.output), "failed": failed}
            numbers = {"skipped": skipped, "left_out": [{"input": name, "reason": reason} for name, reason in left_out]}
            print_json({**head, **numbers, "pictures": [outcome.to_json() for outcome in self._outcomes]})
            return
        cells = {
            "pictures aged": self.count("aged"),
            "faces aged": self._num_faces,
            "pictures failed": failed,
            **({"done before": skipped} if skipped else {}),
            **({"files left out": len(left_out)} if left_out else {}),
        }
        print_table(tuple(cells), [tuple(cells.values())])
        typer.echo(self._request.output)

    def _print_outcome(self, outcome: FolderOutcome) -> None:
        """A line for a photo: always where it failed, else where no bar is shown; for what was skipped, if wanted."""
        number = f"{len(self._statuses)}/{len(self._listing.photos)} {self._name(outcome.source)}"
        has_lines = self._bar is None and not self._options.failures_only
        if outcome.status == "failed":
            self._print(f"{number}: failed: {outcome.reason}")
            if outcome.traceback and self._options.verbose:
                self._print(outcome.traceback)
        elif outcome.status == "aged" and has_lines:
            faces = f"{outcome.num_faces} {'face' if outcome.num_faces == 1 else 'faces'}"
            self._print(f"{number}: {faces} in {sum(outcome.values['seconds'].values()):.1f} s")
        elif outcome.status == "skipped" and self._options.verbose:
            self._print(f"{number}: skipped: {outcome.reason}")

    def _advance(self) -> None:
        if self._bar is None:
            return
        worked = len(self._statuses) - self.count("skipped")
        rate = worked / max(time.monotonic() - self._started, 1e-3)
        failed = self.count("failed")
        self._bar.update(
            self._bar.task_ids[0],
            advance=1,
            rate=f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each" if worked else "",
            failures=f"{failed} failed" if failed else "",
        )

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._request.source))

    def _print(self, line: str) -> None:
        """A line on stderr, above the bar if there is one."""
        if self._bar is None:
            typer.echo(line, err=True)
        else:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
