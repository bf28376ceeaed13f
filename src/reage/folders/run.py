"""A run over the photos of a folder: what is done already, and the rest in one process or several."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reage.batch import FileOutcome
from reage.files import remove_abandoned
from reage.folders.claims import Claims
from reage.folders.listing import FolderPhoto, Listing
from reage.folders.processes import LoadReager, WorkerProcesses
from reage.folders.resume import ResumeFile
from reage.folders.worker import PhotoWorker, RunConfig, make_folder, skip
from reage.processes import MB_PER_WORKER, count_cores

PHOTOS_PER_JOB = 8
"""Photos for which a further process is started: loading the engine takes about as long as four of them."""


@dataclass(kw_only=True)
class FolderRun:
    """Ages the photos of a folder.

    A photo that fails does not stop the rest. Results are written whole or not at all, under claims, so that several
    runs with the same settings can work on one folder. Iterating does the work and yields each outcome when its result
    is complete; a break or an exception in between stops the work, and leaves no unfinished file.

    Args:
        load: loads the `Reager`, once for each process; with more than one job it must be possible to pickle it, and
            the program must be importable without running, as `multiprocessing` asks.
        listing: the photos.
        config: what to do with them.
        resume: what is finished already, and where to note what is finished now; None for none.
        num_jobs: number of processes.

    Example:
        >>> listing = list_folder("photos", "aged")  # doctest: +SKIP
        >>> config = RunConfig(plan=Plan(age=70), output=Path("aged"), settings="exemplar at 70")  # doctest: +SKIP
        >>> for outcome in FolderRun(load=Reager, listing=listing, config=config):  # doctest: +SKIP
        ...     print(outcome.source, outcome.status)
    """

    load: LoadReager
    listing: Listing
    config: RunConfig
    resume: ResumeFile | None = None
    num_jobs: int = 1
    note: str = field(default="", init=False)
    """A remark on the target age, see `reage.pipeline.describe_clipped_ages`, once an engine is loaded."""

    def __iter__(self) -> Generator[FileOutcome]:
        """What became of each photo; see the class.

        Raises:
            ReageError: when the engine cannot be loaded, or the folder for the results not be made.
        """
        left = []
        for photo in self.listing.photos:
            if reason := self.find_finished(photo):
                yield skip(photo, reason)
            else:
                left.append(photo)
        if not left:
            return
        photos: dict[str | Path, FolderPhoto] = {photo.source: photo for photo in left}
        for folder in {photo.output.parent for photo in left}:
            remove_abandoned(folder)
        for outcome in self._age(left):
            if outcome.status == "aged" and self.resume is not None:
                self.resume.add(photos[outcome.source])
            yield outcome

    def find_finished(self, photo: FolderPhoto) -> str:
        """Why a photo need not be aged; "" when it must be."""
        if self.resume is not None and self.resume.holds(photo):
            return "finished before, by the resume file"
        return "its result is there" if self.config.skip_existing and photo.output.exists() else ""

    def _age(self, photos: list[FolderPhoto]) -> Iterator[FileOutcome]:
        if self.num_jobs == 1:
            from reage.pipeline import describe_clipped_ages

            reager = self.load()
            self.note = describe_clipped_ages(reager.engine, [self.config.plan.age])
            claims = Claims(self.config.output, self.config.settings)
            worker = PhotoWorker(reager, self.config, claims)
            make_folder(self.config.output)
            with claims:
                yield from map(worker, photos)
            return
        processes = WorkerProcesses(self.load, self.config, self.num_jobs, max(1, count_cores() // self.num_jobs))
        for outcome in processes.age(photos):
            self.note = processes.note
            yield outcome


def find_num_jobs(num_photos: int) -> int:
    """How many processes are worth their start for so many photos, on the cores and in the memory of this computer."""
    try:
        mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, ValueError, OSError):  # on Windows
        mb = MB_PER_WORKER * count_cores()
    return max(1, min(count_cores(), num_photos // PHOTOS_PER_JOB, mb // MB_PER_WORKER))
