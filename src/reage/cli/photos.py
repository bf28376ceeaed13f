"""Reading the faces of a photo, and saving drawings of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reage.cli.console import print_notes

if TYPE_CHECKING:
    from reage.faces.blazeface import Box
    from reage.images import Image
    from reage.types import Face, Pixels


def read_faces(
    photo: Path,
    output: Path | None = None,
    *,
    box: Box | None = None,
    segment: bool = True,
) -> tuple[Image, list[Face]]:
    """A photo and its faces, one or more, the largest first; what was left out in reading is printed.

    Args:
        photo: its file.
        output: file that will be drawn, which is checked first; None for none.
        box: of the one face to read, drawn by hand; None to find the faces.
        segment: segment skin and hair; False is faster.

    Raises:
        ImageError: when the photo cannot be read or the output not be written.
        FaceNotFound: when there is no face, or none in the box.
    """
    from reage.faces.finder import FaceFinder, choose_faces
    from reage.images import check_output, load_image

    picture = load_image(photo)
    print_notes(picture.notes)
    if output is not None:
        check_output(output, source=photo)
    finder = FaceFinder.load() if segment else FaceFinder()
    if box is not None:
        return picture, [finder.find_in_box(picture.pixels, box)]
    return picture, choose_faces(finder.find(picture.pixels), "all")


def save_drawing(pixels: Pixels, output: Path) -> None:
    """Writes a drawing, (H, W, 3) RGB uint8, which is not marked as altered by AI."""
    from reage.images import Image, save_image

    save_image(Image(pixels=pixels), output, altered=False)
