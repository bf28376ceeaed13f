"""MkDocs hooks: pages from outside docs/ join the site, and their links lead to the same pages as in the repository."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

OUTSIDE = ("models/*.md", "benchmarks/**/*.md", "benchmarks/**/*.py", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
"""Pages and programs that are not in docs/, by their place in the repository; the site shows them at the same place."""

_LINK = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(\))")
_DOCS = "docs/"


def on_files(files: Files, config: Any) -> Files:
    """Adds the files from outside; the benchmarks' tables need no entry of their own in the navigation."""
    root = Path(config.config_file_path).parent
    for pattern in OUTSIDE:
        for path in sorted(root.glob(pattern)):
            place = path.relative_to(root).as_posix()
            in_nav = not place.startswith("benchmarks/") or path.stem == "README"
            inclusion = InclusionLevel.INCLUDED if in_nav else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, place, abs_src_path=str(path), inclusion=inclusion))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrites each relative link from its place in the repository to its place in the site."""
    place = page.file.src_uri
    in_repository = place if page.file.generated_by else _DOCS + place

    def rewrite(link: re.Match[str]) -> str:
        before, target, anchor, after = link.groups()
        found = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target))
        to = found.removeprefix(_DOCS)
        relative = posixpath.relpath(to, posixpath.dirname(place) or ".")
        return f"{before}{relative}{anchor or ''}{after}"

    return _LINK.sub(rewrite, markdown)
