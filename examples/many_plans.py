"""Ages one photo by several plans; the parts are loaded once and the faces are found once.

python examples/many_plans.py me.jpg
"""

import sys
from pathlib import Path

from reage import Plan, Reager, load_image

PLANS = {
    "old": Plan(age=75),
    "young": Plan(age=25),
    "halfway": Plan(age=75, strength=0.5),
    "laugh-lines": Plan(zones={"crows_feet": 0.9, "nasolabial": 0.7}),
    "smooth-forehead": Plan(zones={"forehead": 0.1, "glabella": 0.1}),
}


def main(photo: Path) -> None:
    """Writes me-old.png, me-young.png ... to the current folder."""
    reager = Reager()
    image = load_image(photo)
    faces = reager.find(image)
    for name, plan in PLANS.items():
        result = reager(image, plan, faces=faces)
        output = result.save(Path(f"{photo.stem}-{name}.png"))
        for aged in result.faces:
            print(f"{output}: looked {aged.reading.age_years:.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
