"""Ages the photos of a folder one by one, under claims; whatever happens to one of them becomes its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reage.batch import FileAger, FileOutcome, conclude
from reage.errors import ImageError
from reage.folders.claims import Claims
from reage.folders.listing import FolderPhoto
from reage.images import MAX_MEGAPIXELS
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
        skip_existing: leave out photos whose result is there already, however it was made.
        max_megapixels: size of the largest picture that is opened.
        references: files and folders with photos of the same person, see `reage.pipeline.Reager.__call__`.
    """

    plan: Plan
    output: Path
    settings: str
    faces: str | int | Sequence[int] = "all"
    skip_existing: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    references: tuple[Path, ...] = ()


class PhotoWorker:
    """Ages photos of a folder with a loaded `Reager`, and makes the folders of their results.

    Args:
        reager: loaded.
        config: of the run.
        claims: of this process.

    Raises:
        ReageError: when the references cannot be used at all.
    """

    def __init__(self, reager: Reager, config: RunConfig, claims: Claims) -> None:
        self._config, self._claims = config, claims
        self._ager = FileAger(
            reager,
            config.plan,
            faces=config.faces,
            max_megapixels=config.max_megapixels,
            references=config.references,
        )

    def __call__(self, photo: FolderPhoto) -> FileOutcome:
        """What became of a photo; no exception but those that end a process, such as KeyboardInterrupt."""
        return conclude(photo.source, photo.output, partial(self._age, photo))

    def _age(self, photo: FolderPhoto) -> FileOutcome:
        with self._claims.claim(photo.output) as is_ours:
            if not is_ours:
                return skip(photo, "another run is making it")
            if self._config.skip_existing and photo.output.exists():
                return skip(photo, "its result is there")
            if self._claims.is_made(photo.output):
                return skip(photo, "another run has made it")
            make_folder(photo.output.parent)
            return self._ager.age(photo.source, photo.output)


def skip(photo: FolderPhoto, reason: str) -> FileOutcome:
    """The outcome of a photo that is left out."""
    return FileOutcome(source=photo.source, output=photo.output, status="skipped", reason=reason)


def fail(photo: FolderPhoto, reason: str) -> FileOutcome:
    """The outcome of a photo that could not be aged."""
    return FileOutcome(source=photo.source, output=photo.output, status="failed", reason=reason)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it.

    Raises:
        ImageError: when the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be made ({error.strerror}); choose another.") from error
