"""The words that latent diffusion is asked with: one template for each prompt of LDLA, and captions of whole faces.

After LDLA (arXiv 2507.21600), which names three prompts but does not print them; the wording is ours. Scores are
said as whole numbers from 0 to 100.
"""

from __future__ import annotations

from types import MappingProxyType

from reage.types import ZONES

_PHRASES = {
    "forehead": "forehead",
    "glabella": "area between the eyebrows",
    "interocular": "area between the eyes",
    "crows_feet": "outer corner of the {side} eye",
    "under_eye": "skin under the {side} eye",
    "nasolabial": "{side} nasolabial fold",
    "upper_lip": "upper lip",
    "lip_corners": "{side} corner of the lips",
}
ZONE_PHRASES = MappingProxyType(
    {zone: _PHRASES[zone.split(".")[0]].format(side=zone.partition(".")[2]) for zone in ZONES}
)
"""How each zone is called; left and right are the viewer's."""

AGE_LABELS = MappingProxyType(
    {"child": 0, "teenager": 13, "youngadults": 20, "middleaged": 36, "elderly": 56, "old": 70}
)
"""The six captions of identity-preserving aging, spelled as published, and the age in years at which each begins."""

CLASS_WORD = "person"
"""What else somebody is who has a rare word."""

NEUTRAL = "photo of a person, natural skin texture"
"""Asks for nothing but a likely picture; what the refiner is asked with."""

NOTHING = ""
"""What guidance leads away from."""


def whole_prompt(zone: str, score: float) -> str:
    """P_full with the score a zone has, P_target with the one it is to have: the two share a template."""
    return f"photo of the face of a person with {ZONE_PHRASES[zone]} wrinkle score {_number(score)}"


def zone_prompt(zone: str, score: float) -> str:
    """P_zone: what a crop of a zone shows."""
    return f"close-up photo of the {ZONE_PHRASES[zone]}, wrinkle score {_number(score)}"


def face_prompt(age_years: float) -> str:
    """What a picture of a whole face shows."""
    return f"photo of the face of a {round(age_years)} year old person"


def label_prompt(label: str) -> str:
    """The caption of an age group, as in identity-preserving aging."""
    return f"A photo of a {label}"


def label_of(age_years: float) -> str:
    """The one of `AGE_LABELS` that an age belongs to."""
    return [label for label, youngest in AGE_LABELS.items() if age_years >= youngest][-1]


def person_prompt(word: str, class_word: str, label: str = "") -> str:
    """The caption of one person, and with an age group what is asked for: `photo of a sks person as elderly`.

    Args:
        word: rare one that stands for the person; "" for anybody.
        class_word: what else the person is, such as `person`.
        label: one of `AGE_LABELS`; "" for the person as in their photos.
    """
    return " ".join(part for part in ("photo of a", word, class_word, label and f"as {label}") if part)


def all_prompts() -> list[str]:
    """Every sentence that can be said: what a tokenizer must know."""
    zones = [prompt(zone, n / 100) for zone in ZONES for n in range(101) for prompt in (whole_prompt, zone_prompt)]
    return [*zones, *(face_prompt(age) for age in range(101)), *(label_prompt(label) for label in AGE_LABELS), NEUTRAL]


def _number(score: float) -> int:
    return round(100 * score)
