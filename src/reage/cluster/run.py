"""A run over the photos of a place: what is done already, and the rest by the workers of a pool."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from reage.batch import FileOutcome
from reage.cluster.pictures import Picture, PictureList, make_blocks
from reage.cluster.worker import WorkerConfig

if TYPE_CHECKING:
    import pyarrow as pa

PICTURES_PER_BLOCK = 32
"""Photos that a worker takes at once, at most, unless another number is given."""

BLOCKS_PER_WORKER = 4
"""A run of few photos has so many blocks at least for each worker, so that all end at about the same time."""


class Pool(Protocol):
    """The workers of a run; a context, within which they can work. `RayPool` is one.

    Attributes:
        num_workers: how many there is room for now.
    """

    num_workers: int

    def __enter__(self) -> Self:
        """Makes room for workers."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Ends them."""
        ...

    def age(self, config: WorkerConfig, blocks: Sequence[pa.Table]) -> Generator[pa.Table]:
        """What a `reage.cluster.worker.BlockWorker` makes of each block, in any order."""
        ...


def name_run() -> str:
    """A name for a run that begins now, which sorts after those of earlier ones."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(kw_only=True)
class ClusterRun:
    """Ages the photos of a place.

    A photo that fails does not stop the rest, nor does a worker that is lost. Iterating does the work and yields each
    outcome when its block is complete; the parts of the manifest are joined before the first and after the last. A run
    that is stopped in between is continued by one with the same settings.

    Args:
        listing: the photos.
        config: what the workers do with them.
        pool: the workers; entered when there is work.
        pictures_per_block: photos that a worker takes at once, at most.
    """

    listing: PictureList
    config: WorkerConfig
    pool: Pool
    pictures_per_block: int = PICTURES_PER_BLOCK

    def __iter__(self) -> Generator[FileOutcome]:
        """What became of each photo; see the class.

        Raises:
            ReageError: when the engine cannot be loaded, no worker can be had, or the manifest not be written.
        """
        manifest = self.config.manifest
        manifest.compact()
        finished = manifest.find_finished()
        left: list[Picture] = []
        for picture in self.listing.pictures:
            if finished.get(picture.file.name) == picture.file.stamp:
                yield self._skip(picture)
            else:
                left.append(picture)
        if left:
            yield from self._age(left)
            manifest.compact()

    def _age(self, pictures: Sequence[Picture]) -> Iterator[FileOutcome]:
        with self.pool as pool:
            share = -(-len(pictures) // (pool.num_workers * BLOCKS_PER_WORKER))
            blocks = list(make_blocks(pictures, min(self.pictures_per_block, share)))
            with closing(pool.age(self.config, blocks)) as answers:
                for answer in answers:
                    for record in answer["record"].to_pylist():
                        yield FileOutcome(**json.loads(record)["outcome"])

    def _skip(self, picture: Picture) -> FileOutcome:
        return FileOutcome(
            source=self.config.source.address_of(picture.file.name),
            output=self.config.output.address_of(picture.output),
            status="skipped",
            reason="finished before, by the manifest",
        )
