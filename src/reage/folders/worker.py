"""Ages the photos of a folder one by one; whatever happens to one of them becomes its outcome."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reage.errors import ImageError, ReageError, describe_unexpected
from reage.folders.claims import Claims
from reage.folders.listing import FolderPhoto
from reage.images import check_output
from reage.types import Plan

if TYPE_CHECKING:
    from reage.pipeline import Reager


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run does with every photo.

    Args:
        plan: for every face.
        faces: see `Reager.__call__`.
        output: folder for the results.
        settings: a text that differs where results differ: source, plan, engine, weights and options. Runs of equal
            settings at the same time share the photos.
        references: photos of the same person at about the wanted age, see `Reager.__call__`.
        skip_existing: leave out photos whose result is there already, however it was made.
    """

    plan: Plan
    output: Path
    settings: str
    faces: str | int | Sequence[int] = "all"
    references: tuple[Path, ...] = ()
    skip_existing: bool = False


@dataclass(frozen=True, kw_only=True)
class FolderOutcome:
    """What became of one photo of a folder.

    Args:
        source: the photo.
        output: file of its result.
        status: "aged", "failed", or "skipped" because the result is there or another run makes it.
        reason: why it failed or was skipped, in a sentence; "" when it was aged.
        traceback: of an unexpected error; "" otherwise.
        values: of the result, see `reage.pipeline.Result.to_json`; empty when there is none.
    """

    source: Path
    output: Path
    status: Literal["aged", "failed", "skipped"]
    reason: str = ""
    traceback: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def num_faces(self) -> int:
        """How many faces were aged."""
        return len(self.values.get("faces", ()))

    def to_json(self) -> dict[str, Any]:
        """The source and, by the status, output and result, "error", or output and "skipped", as plain values."""
        source = {"input": str(self.source)}
        if self.status == "failed":
            return {**source, "error": self.reason}
        skipped = {"skipped": self.reason} if self.status == "skipped" else {}
        return {**source, "output": str(self.output), **skipped, **self.values}


class PhotoWorker:
    """Ages photos of a folder with a loaded `Reager`, and makes the folders of their results.

    Args:
        reager: loaded.
        config: of the run.
        claims: of this process.

    Raises:
        ReageError: when the references cannot be used.
    """

    def __init__(self, reager: Reager, config: RunConfig, claims: Claims) -> None:
        self._reager, self._config, self._claims = reager, config, claims
        self._references = reager.read_references(config.references) if config.references else ()

    def __call__(self, photo: FolderPhoto) -> FolderOutcome:
        """What became of a photo; no exception but those that end a process, such as KeyboardInterrupt."""
        try:
            with self._claims.claim(photo.output) as is_ours:
                return self._age(photo) if is_ours else skip(photo, "another run is making it")
        except ReageError as error:
            return fail(photo, str(error))
        except Exception as error:
            return fail(photo, describe_unexpected(error), traceback.format_exc())

    def _age(self, photo: FolderPhoto) -> FolderOutcome:
        from reage.batch import age_photo

        if self._config.skip_existing and photo.output.exists():
            return skip(photo, "its result is there")
        if self._claims.is_made(photo.output):
            return skip(photo, "another run has made it")
        make_folder(photo.output.parent)
        check_output(photo.output, source=photo.source)
        done = age_photo(
            self._reager,
            photo.source,
            self._config.plan,
            photo.output,
            faces=self._config.faces,
            references=self._references,
        )
        values = {name: value for name, value in done.to_json().items() if name not in ("input", "output")}
        return FolderOutcome(source=photo.source, output=photo.output, status="aged", values=values)


def skip(photo: FolderPhoto, reason: str) -> FolderOutcome:
    """The outcome of a photo that is left out."""
    return FolderOutcome(source=photo.source, output=photo.output, status="skipped", reason=reason)


def fail(photo: FolderPhoto, reason: str, trace: str = "") -> FolderOutcome:
    """The outcome of a photo that could not be aged."""
    return FolderOutcome(source=photo.source, output=photo.output, status="failed", reason=reason, traceback=trace)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it.

    Raises:
        ImageError: when the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from error
