"""Lists the photos of a folder, and names their results."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reage.errors import ImageError
from reage.files import OWN_PREFIX, check_place, shorten_name
from reage.images import SUFFIXES, find_suffix, is_picture


@dataclass(frozen=True, kw_only=True)
class FolderPhoto:
    """One photo of a folder.

    Args:
        source: its file.
        output: file of its result.
    """

    source: Path
    output: Path


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The content of a folder.

    Args:
        photos: sorted by their path.
        skipped: files and folders that are not aged, each with the reason.
    """

    photos: tuple[FolderPhoto, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


def list_folder(source: str | Path, output: str | Path, *, recursive: bool = False) -> Listing:
    """The photos of a folder, after a check of the place for the results, where nothing is made yet.

    A photo is a file with the suffix of a picture, or a file without a suffix that has the content of one. A result has
    the name of its photo; one without a suffix gets that of its format. Links to folders are not followed, and the
    folder of the results is left out where it lies inside.

    Args:
        source: folder of photos.
        output: folder for the results.
        recursive: also list the folders inside; the results lie in folders of the same names.

    Raises:
        ImageError: when there is no photo, or the results have no folder of their own that can be written to.
    """
    folder, target = Path(source), Path(output)
    _check_folders(folder, target)
    found, skipped = [], []
    for path, reason in sorted(_walk(folder, target, recursive)):
        if reason:
            skipped.append((path, reason))
        else:
            found.append(path)
    if not found:
        inside = "" if recursive else ", and --recursive looks into the folders inside"
        raise ImageError(f"The folder '{folder}' holds no pictures; they end in {' '.join(SUFFIXES)}{inside}.")
    photos = tuple(_pair(found, [target / path.relative_to(folder).parent for path in found]))
    return Listing(photos=photos, skipped=tuple(skipped))


def list_photos(sources: Iterable[str | Path], output: str | Path) -> Listing:
    """Photos of any folders, whose results go to one folder under their names, after a check of that folder.

    Raises:
        ImageError: when two have one name, or the results have no folder that can be written to.
    """
    paths = [Path(source) for source in sources]
    _check_results_folder(Path(output))
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ImageError(
            f"Two photos are called '{twice}'; one result would overwrite the other, so rename one of them."
        )
    return Listing(photos=tuple(_pair(paths, [Path(output)] * len(paths))))


def _check_folders(source: Path, output: Path) -> None:
    if os.path.exists(output) and output.resolve() == source.resolve():
        raise ImageError(f"'{output}' is the folder that is read, which is never written to; choose another.")
    if os.path.exists(output) and not os.path.isdir(output):
        raise ImageError(f"'{output}' is a file; give a folder for the aged pictures of '{source}'.")
    _check_results_folder(output)


def _check_results_folder(output: Path) -> None:
    """Checks that files can be made in the folder or, where it is missing, a folder in the last one that is there."""
    place = output / "picture"
    while not os.path.lexists(place.parent):
        place = place.parent
    if not place.parent.is_dir():
        raise ImageError(f"'{place.parent}' is a file; give a folder for the aged pictures.")
    check_place(place, ImageError)


def _walk(folder: Path, output: Path, recursive: bool) -> Iterator[tuple[Path, str]]:
    """Each file with "", or with the reason why it is skipped; each folder that is skipped with the reason."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be read: {error.strerror or error}.") from error
    for entry in entries:
        path = Path(entry.path)
        if not entry.is_dir():
            if not entry.name.startswith(OWN_PREFIX):
                yield path, _why_skipped(path)
        elif recursive and not entry.name.startswith(".") and not entry.is_symlink():
            if not (os.path.exists(output) and path.samefile(output)):
                yield from _walk_inside(path, output)
        else:
            yield path, _why_folder_skipped(entry, recursive)


def _walk_inside(folder: Path, output: Path) -> Iterator[tuple[Path, str]]:
    try:
        yield from _walk(folder, output, recursive=True)
    except ImageError:
        yield folder, "a folder that cannot be read"


def _why_folder_skipped(entry: os.DirEntry[str], recursive: bool) -> str:
    if entry.name.startswith("."):
        return "hidden"
    return "a link to a folder" if recursive else "a folder, which --recursive looks into"


def _why_skipped(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    if not path.is_file():
        return "a broken link" if path.is_symlink() and not path.exists() else "no file"
    if is_picture(path):
        return ""
    return f"no picture by its suffix {path.suffix}" if path.suffix else "no picture by its content"


def _pair(sources: Sequence[Path], folders: Sequence[Path]) -> Iterator[FolderPhoto]:
    """Each photo with its result in a folder: the names that need no suffix first, so that they keep theirs."""
    taken = {
        folder / source.name for source, folder in zip(sources, folders, strict=True) if _is_writable_name(source.name)
    }
    for source, folder in zip(sources, folders, strict=True):
        output = folder / source.name
        if not _is_writable_name(source.name):
            output = _name_with_suffix(source, folder, taken)
            taken.add(output)
        yield FolderPhoto(source=source, output=output)


def _is_writable_name(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _name_with_suffix(source: Path, folder: Path, taken: set[Path]) -> Path:
    suffix, number = find_suffix(source) or ".png", 1
    output = folder / shorten_name(source.name, suffix)
    while output in taken:
        number += 1
        output = folder / shorten_name(source.name, f"-{number}{suffix}")
    return output
