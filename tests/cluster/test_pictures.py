"""Which files of a place are photos, how results are named, and blocks of them."""

from __future__ import annotations

import pytest

from reage.cluster import Place
from reage.cluster.pictures import list_pictures, make_blocks, read_block
from reage.errors import ImageError


def fill(place: Place, *names: str) -> None:
    for name in names:
        place.write(name, b"x")


def test_photos_are_told_by_their_suffix_at_any_depth(places: tuple[Place, Place]) -> None:
    source, output = places
    fill(source, "b/me.JPG", "a.png", "notes.txt", ".hidden.png", "scan", "c.jxl", "d.jxl", "d.jxl.png")
    listing = list_pictures(source, output)
    assert {one.file.name: one.output for one in listing.pictures} == {
        "a.png": "a.png",
        "b/me.JPG": "b/me.JPG",
        "c.jxl": "c.jxl.png",
        "d.jxl.png": "d.jxl.png",
    }
    assert dict(listing.left_out) == {
        ".hidden.png": "hidden",
        "d.jxl": "its result would have the name of the photo d.jxl.png",
        "notes.txt": "no picture by its suffix .txt",
        "scan": "without a suffix",
    }


def test_results_inside_are_no_photos(places: tuple[Place, Place]) -> None:
    source, _ = places
    fill(source, "a.png", "aged/a.png", "aged-before.png")
    inside = Place(source.address_of("aged"))
    assert [one.file.name for one in list_pictures(source, inside).pictures] == ["a.png", "aged-before.png"]


def test_results_among_the_photos_and_places_without_photos_are_refused(places: tuple[Place, Place]) -> None:
    source, output = places
    with pytest.raises(ImageError, match="holds no pictures; they end in"):
        list_pictures(source, output)
    with pytest.raises(ImageError, match="never written to; choose another"):
        list_pictures(source, Place(source.address + "/"))


def test_blocks_hold_all_pictures_in_their_sequence(places: tuple[Place, Place]) -> None:
    source, output = places
    fill(source, *(f"{number}.png" for number in range(5)))
    pictures = list_pictures(source, output).pictures
    blocks = [read_block(table) for table in make_blocks(pictures, 2)]
    assert [number for number, _ in blocks] == [0, 1, 2]
    assert [len(part) for _, part in blocks] == [2, 2, 1]
    assert [one for _, part in blocks for one in part] == list(pictures)
