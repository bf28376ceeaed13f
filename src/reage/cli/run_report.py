"""What commands print that age many photos: a bar or a line for each, JSON, a summary."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from reage.cli.console import print_json, print_table, stderr_console

if TYPE_CHECKING:
    from rich.progress import Progress

    from reage.batch import FileOutcome


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """How much a run over many photos prints.

    Args:
        failures_only: print failures and the summary only.
        verbose: name what is left out, and show where unexpected errors arose.
        as_json: print one JSON object at the end.
        as_json_lines: print one JSON object for each photo.
    """

    failures_only: bool = False
    verbose: bool = False
    as_json: bool = False
    as_json_lines: bool = False


class RunReport:
    """What a run says: a bar or a line for each photo on stderr, results and the summary on stdout.

    Args:
        source: the photos, as they were given.
        output: the place of the results.
        num_photos: how many there are.
        left_out: names of what is not aged, each with the reason.
        options: how much is printed.
        how: to go on after an interrupt.
    """

    def __init__(
        self,
        source: str,
        output: str,
        num_photos: int,
        left_out: Sequence[tuple[str, str]],
        options: ReportOptions,
        how: str,
    ) -> None:
        self._source, self._output, self._num_photos = source, output, num_photos
        self._left_out, self._options, self._how = left_out, options, how
        self._statuses: list[str] = []
        self._outcomes: list[FileOutcome] = []  # only for --json, which prints one object at the end
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
            self._bar.add_task("", total=self._num_photos, rate="", failures="")
            yield

    def add(self, name: str, outcome: FileOutcome, note: str) -> None:
        """Counts what became of a photo, and prints it; `note` is the one on the target age, printed once."""
        if note and not self._has_note:
            self._has_note = True
            self._print(f"Note: {note}")
        self._statuses.append(outcome.status)
        self._num_faces += outcome.num_faces
        self._print_outcome(name, outcome)
        for found in outcome.values.get("notes", ()):
            if found != note and not self._options.failures_only:
                self._print(f"Note: {name}: {found}")
        if self._options.as_json_lines:
            print_json(outcome.to_json(), in_one_line=True)
        elif self._options.as_json:
            self._outcomes.append(outcome)
        self._advance()

    def count(self, status: str) -> int:
        """How many photos became "aged", "failed" or "skipped"."""
        return self._statuses.count(status)

    def print_interrupt(self) -> None:
        """Prints how far the run came, and how to go on."""
        done, failed = self.count("aged") + self.count("skipped"), self.count("failed")
        failures = f", {failed} failed" if failed else ""
        self._print(f"Stopped: {done} of {self._num_photos} pictures are done{failures}. To go on, {self._how}.")

    def print_summary(self) -> None:
        """Prints the numbers and, if wanted, what was left out."""
        left_out = self._left_out
        if self._options.verbose:
            for name, reason in left_out:
                self._print(f"Left out: {name}: {reason}")
        if self._options.as_json_lines:
            return
        failed, skipped = self.count("failed"), self.count("skipped")
        if self._options.as_json:
            head = {"input": self._source, "output": self._output, "failed": failed}
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
        typer.echo(self._output)

    def _print_outcome(self, name: str, outcome: FileOutcome) -> None:
        """A line for a photo: always where it failed, else where no bar is shown; for what was skipped, if wanted."""
        number = f"{len(self._statuses)}/{self._num_photos} {name}"
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

    def _print(self, line: str) -> None:
        """A line on stderr, above the bar if there is one."""
        if self._bar is None:
            typer.echo(line, err=True)
        else:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
