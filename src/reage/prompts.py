"""Prompts of latent diffusion: one template for each prompt of LDLA, and captions of whole faces.

After LDLA (arXiv 2507.21600), which names three prompts but does not print them; the wording is ours. Scores are
written as whole numbers from 0 to 100.
"""

from __future__ import annotations

from types import MappingProxyType

from reage.zones import ZONES, zone_row

ZONE_PHRASES = MappingProxyType({zone: zone_row(zone).phrase.format(side=zone.partition(".")[2]) for zone in ZONES})
"""Full zone name -> words; left and right are the viewer's."""

AGE_LABELS = MappingProxyType(
    {"child": 0, "teenager": 13, "youngadults": 20, "middleaged": 36, "elderly": 56, "old": 70}
)
"""The six captions of identity-preserving aging, spelled as published, and the age in years at which each begins."""

CLASS_WORD = "person"
"""The class word beside a person's rare token."""

NEUTRAL = "photo of a person, natural skin texture"
"""Prompt of a likely picture without a score; the refiner uses it."""

UNCONDITIONAL = ""
"""The empty prompt of classifier-free guidance."""


def whole_prompt(zone: str, score: float) -> str:
    """P_full with the score a zone has, P_target with the one it is to have: the two share a template."""
    return f"photo of the face of a person with {ZONE_PHRASES[zone]} wrinkle score {_number(score)}"


def zone_prompt(zone: str, score: float) -> str:
    """P_zone: the prompt of a zone's own patch."""
    return f"close-up photo of the {ZONE_PHRASES[zone]}, wrinkle score {_number(score)}"


def face_prompt(age_years: float) -> str:
    """The caption of a whole face."""
    return f"photo of the face of a {round(age_years)} year old person"


def label_prompt(label: str) -> str:
    """The caption of an age group, as in identity-preserving aging."""
    return f"A photo of a {label}"


def label_of(age_years: float) -> str:
    """The label of `AGE_LABELS` for an age."""
    return [label for label, youngest in AGE_LABELS.items() if age_years >= youngest][-1]


def person_prompt(word: str, class_word: str, label: str = "") -> str:
    """The prompt of one person, with an age group as in `photo of a sks person as elderly`.

    Args:
        word: rare token that stands for the person; "" for anybody.
        class_word: such as `person`.
        label: one of `AGE_LABELS`; "" for the person as in their photos.
    """
    return " ".join(part for part in ("photo of a", word, class_word, label and f"as {label}") if part)


def all_prompts() -> list[str]:
    """Every prompt there is, for building a tokenizer."""
    zones = [prompt(zone, n / 100) for zone in ZONES for n in range(101) for prompt in (whole_prompt, zone_prompt)]
    return [*zones, *(face_prompt(age) for age in range(101)), *(label_prompt(label) for label in AGE_LABELS), NEUTRAL]


def _number(score: float) -> int:
    return round(100 * score)
