import pytest

from reage.images.formats import FORMATS, suffixes_that_keep
from tests.images.format_table import COLUMNS, PAGE, make_page, measure

KEEPS = {
    "16 bits": "sixteen_bit", "floats": "float", "profile": "icc", "EXIF": "exif", "XMP": "xmp", "IPTC": "iptc",
    **{name: name for name in ("alpha", "grey", "texts", "comment", "dpi", "pages", "animation")},
}  # fmt: skip


@pytest.mark.parametrize("file_format", FORMATS, ids=lambda one: one.name)
def test_a_format_keeps_just_what_it_says(file_format, tmp_path):
    measured = {KEEPS[name] for name, kept in measure(file_format, tmp_path).items() if kept and name in KEEPS}
    assert measured == file_format.keeps - {"grey_alpha"}


def test_the_page_says_what_round_trips_measure(tmp_path):
    assert PAGE.read_text() == make_page(tmp_path), "run python -m tests.images.format_table"


def test_every_column_is_told_apart():
    assert len(COLUMNS) == len(KEEPS) + 1


def test_formats_are_found_by_what_they_keep():
    assert suffixes_that_keep(frozenset({"iptc"})) == [".jpg", ".tif"]
    assert suffixes_that_keep(frozenset({"pages", "animation"})) == []
