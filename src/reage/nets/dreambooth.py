"""A base that knows one person by a rare word: the word, and the file of what the base has learned.

The file holds weights, or LoRA matrices, of denoiser and text encoder, 128 numbers that say who it is, and how it came
about; no photo, nothing of one, and nothing of the base, which it names.

Convention:
    tensors are called unet.NAME and text_encoder.NAME; `identity` (128,), see `reage.measure.age.DlibRecognizer`; `word` (C,),
    only where the base had no token for the rare word: its embedding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from reage.errors import ReageError, WeightsError
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.diffusion_folder import find_base, hash_base
from reage.nets.lora import take_in, trained_tensors
from reage.prompts import AGE_LABELS, all_prompts, person_prompt
from reage.types import Plane
from reage.weights import load_torch_weights, made_for, save_weights

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

_KIND = "person"
_COMMON = 0.8
"""Share of a vocabulary, whose order is that of how often a word is met, in which a word is an ordinary one."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who a base has learned.

    Args:
        word: rare one that stands for the person in prompts.
        class_word: what else the person is, such as `person`.
        identity: (128,) who it is, the mean over the photos.
        lora_rank: of the matrices that were learned; 0 for whole nets.
        provenance: plain values (JSON): preset, recipe, seed and commit.
    """

    word: str
    class_word: str
    identity: Plane
    lora_rank: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, label: str = "") -> str:
        """What the base is asked with; `label` is one of `reage.prompts.AGE_LABELS`, or "" for any age."""
        return person_prompt(self.word, self.class_word, label)


# The word


def check_word(base: DiffusionBase, word: str, class_word: str) -> None:
    """Whether a word is rare enough to stand for a person: what it means so far is lost.

    Raises:
        ReageError: when one of them is no single word, or the base knows the rare one as an ordinary word.
    """
    for given in (word, class_word):
        if not re.fullmatch(r"[a-z][a-z0-9]*", given):
            raise ReageError(
                f"'{given}' is no single word; give one of small letters and digits, such as sks or person."
            )
    known = base.tokenizer.get_vocab().get(f"{word}</w>", len(base.tokenizer))
    if word == class_word or word in _said_words() or known < _COMMON * len(base.tokenizer):
        raise ReageError(
            f"'{word}' is an ordinary word of the base {base.name}, whose meaning would be lost; give a rare one, such "
            "as sks or ohwx."
        )


def add_word(base: DiffusionBase, word: str, seed: int = 0) -> None:
    """Makes a word one token of the base; other tokens stay as they are.

    A word that was one already keeps its embedding; a new one gets one that is drawn by chance, as far from the mean as
    others are: like the rare words of CLIP it means nothing yet.
    """
    if _is_one_token(base.tokenizer, word):
        return
    known = base.text_encoder.get_input_embeddings().weight.detach().float().cpu()
    chance = torch.randn(known.shape[1], generator=Generator().manual_seed(seed))
    _put_word(base, word, known.mean(0) + known.std(0) * chance)


def _put_word(base: DiffusionBase, word: str, embedding: Tensor) -> None:
    from tokenizers import AddedToken

    base.tokenizer.add_tokens([AddedToken(word, single_word=True, normalized=False)])
    frozen = not any(weight.requires_grad for weight in base.text_encoder.parameters())
    base.text_encoder.resize_token_embeddings(len(base.tokenizer), mean_resizing=False)
    base.text_encoder.requires_grad_(not frozen)
    weight = base.text_encoder.get_input_embeddings().weight.data
    weight[base.tokenizer.convert_tokens_to_ids(word)] = embedding.to(weight)


def _is_one_token(tokenizer: CLIPTokenizer, word: str) -> bool:
    return len(tokenizer(word, add_special_tokens=False).input_ids) == 1


def _said_words() -> set[str]:
    """All words that prompts are made of."""
    said = [*all_prompts(), *(person_prompt("", "", label) for label in AGE_LABELS)]
    return {word for prompt in said for word in re.findall(r"\w+", prompt.lower())}


# The file


def save_person(path: str | Path, base: DiffusionBase, person: Person) -> None:
    """Writes what a base has learned of a person; LoRA matrices as they are, whole nets in 16 bits.

    Raises:
        WeightsError: when the file cannot be written.
    """
    parts = {"unet": base.unet, "text_encoder": base.text_encoder}
    tensors: dict[str, Any] = {
        f"{part}.{name}": value
        for part, net in parts.items()
        for name, value in trained_tensors(net, person.lora_rank).items()
    }
    tensors["identity"] = person.identity
    if person.word in base.tokenizer.get_added_vocab():
        row = base.tokenizer.convert_tokens_to_ids(person.word)
        tensors["word"] = base.text_encoder.get_input_embeddings().weight[row]
    config = {
        "kind": _KIND,
        "base": base.name,
        "base_hash": base.weights_hash,
        "token": person.word,
        "class_word": person.class_word,
        "lora_rank": person.lora_rank,
        "provenance": dict(person.provenance),
    }
    save_weights(path, tensors, config, half=not person.lora_rank)


def load_person(path: str | Path, device: str = "cpu", base: str | Path | None = None) -> tuple[DiffusionBase, Person]:
    """The base as it was when it had learned the person, and who that is.

    Args:
        path: of a file of `save_person`.
        device: of torch.
        base: where the base is now; None for where it was.

    Raises:
        WeightsError: when the file cannot be used, its base is not there, or is another one.
    """
    tensors, stored = load_torch_weights(path)
    if stored.get("kind") != _KIND:
        raise WeightsError(f"'{path}' is no file of a person; make one with reage personalize PHOTOS --out FILE.")
    advice = "learn the person again with reage personalize"
    with made_for(path, "a person", advice):
        person = Person(
            word=stored["token"],
            class_word=stored["class_word"],
            identity=tensors.pop("identity").numpy(),
            lora_rank=int(stored["lora_rank"]),
            provenance=stored["provenance"],
        )
        name, wanted = str(base or stored["base"]), stored["base_hash"]
    found = hash_base(find_base(name))
    if found != wanted:
        raise WeightsError(
            f"'{path}' was learned on the base {stored['base']} with the weights {wanted}, but {name} has {found}; "
            "give that base with --base, or learn the person again on this one."
        )
    loaded = load_base(name, device)
    with made_for(path, f"a person on {name}", advice):
        if "word" in tensors:
            _put_word(loaded, person.word, tensors.pop("word"))
        for part, net in (("unet", loaded.unet), ("text_encoder", loaded.text_encoder)):
            own = {key.removeprefix(f"{part}."): value for key, value in tensors.items() if key.startswith(f"{part}.")}
            take_in(net, own, person.lora_rank)
    return loaded, person
