"""Writes the demo photo: the portrait of Eileen Collins by NASA (public domain) that scikit-image ships.

python examples/demo.py demo/astronaut.png
"""

import sys
from pathlib import Path

import skimage.data

from reage.images import Image, save_image


def main(path: Path) -> None:
    """Writes the photo, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(Image(pixels=skimage.data.astronaut()), path, altered=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
