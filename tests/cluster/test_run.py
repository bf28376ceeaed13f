"""A run: continued where it was stopped, by the manifest; nothing finished is done again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from reage.cluster import ClusterRun, Place
from reage.cluster.manifest import MANIFEST_NAME
from tests.cluster.accidents import encode_photo
from tests.cluster.conftest import PoolHere


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Place, Place]:
    """Places in memory with four photos in one and nothing in the other."""
    places = Place(f"memory://{tmp_path}/photos"), Place(f"memory://{tmp_path}/aged")
    for number in range(4):
        places[0].write(f"{number}.png", encode_photo(number=number))
    return places


def test_a_run_that_is_left_goes_on_where_it_was(
    photos: tuple[Place, Place], make_run: Callable[..., ClusterRun]
) -> None:
    with closing(iter(make_run(photos, pictures_per_block=1))) as outcomes:
        assert [next(outcomes).source for _ in range(2)] == [photos[0].address_of(f"{n}.png") for n in range(2)]
    assert not photos[1].holds(MANIFEST_NAME)
    pool = PoolHere()
    outcomes_again = list(make_run(photos, pool=pool))
    assert [one.status for one in outcomes_again] == ["skipped", "skipped", "aged", "aged"]
    assert outcomes_again[0].reason == "finished before, by the manifest"
    assert pool.given == ["2.png", "3.png"]
    assert [file.name for file in photos[1].list_files()] == [*(f"{n}.png" for n in range(4)), MANIFEST_NAME]


def test_only_what_has_changed_is_done_again(photos: tuple[Place, Place], make_run: Callable[..., ClusterRun]) -> None:
    run = make_run(photos)
    assert {one.status for one in run} == {"aged"}
    hashes = {row["source"]: row["source_hash"] for row in run.config.manifest.read().to_pylist()}
    photos[0].write("1.png", encode_photo(number=100))
    photos[1].remove(["2.png"])
    pool = PoolHere()
    run = make_run(photos, pool=pool)
    assert len(list(run)) == 4
    assert pool.given == ["1.png", "2.png"]
    again = {row["source"]: row["source_hash"] for row in run.config.manifest.read().to_pylist()}
    assert {name for name in hashes if hashes[name] != again[name]} == {"1.png"}


def test_no_pool_is_entered_where_nothing_is_left(
    photos: tuple[Place, Place], make_run: Callable[..., ClusterRun]
) -> None:
    list(make_run(photos))
    assert {one.status for one in make_run(photos, pool=None)} == {"skipped"}


def test_few_photos_are_shared_out(photos: tuple[Place, Place], make_run: Callable[..., ClusterRun]) -> None:
    sizes = []

    class Pool(PoolHere):
        num_workers = 2

        def age(self, config: object, blocks: object) -> object:
            sizes.extend(len(block) for block in blocks)
            return super().age(config, blocks)

    list(make_run(photos, pool=Pool()))
    assert sizes == [1, 1, 1, 1]
