"""A diffusion base that has learned one person under a rare token: the token, and the file of the learned weights.

The file holds the weights, or the LoRA matrices, of denoiser and text encoder, the identity of the person, and the
provenance. It holds no photo and nothing of the base, which it names by its hash.

Convention:
    tensors are called unet.NAME and text_encoder.NAME; `identity` (128,), see `reage.measure.DlibRecognizer`;
    `token_embedding` (C,), only where the base had no token of its own for the rare one.
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
from reage.nets.lora import load_trained_tensors, trained_tensors
from reage.prompts import AGE_LABELS, all_prompts, person_prompt
from reage.types import Plane
from reage.weights import load_torch_weights, made_for, save_weights

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

_KIND = "person"
_COMMON_SHARE = 0.8
"""Share of a vocabulary, which is ordered by frequency, whose words are too common for a rare token."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person that a base has learned.

    Args:
        token: rare token that stands for the person in prompts.
        class_word: the class of the person, such as `person`.
        identity: (128,) mean over the photos.
        lora_rank: of the learned matrices; 0 for full fine-tuning.
        provenance: plain values (JSON): preset, recipe, seed and commit.
    """

    token: str
    class_word: str
    identity: Plane
    lora_rank: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, label: str = "") -> str:
        """The prompt of the person; `label` is one of `reage.prompts.AGE_LABELS`, or "" for no age."""
        return person_prompt(self.token, self.class_word, label)


# The token


def check_token(base: DiffusionBase, token: str, class_word: str) -> None:
    """Checks that a token is rare: the meaning it has in the base is lost.

    Raises:
        ReageError: when the token or the class word is no single word, or the token is a common word of the base.
    """
    for given in (token, class_word):
        if not re.fullmatch(r"[a-z][a-z0-9]*", given):
            raise ReageError(
                f"'{given}' is no single word; give one of small letters and digits, such as sks or person."
            )
    rank = base.tokenizer.get_vocab().get(f"{token}</w>", len(base.tokenizer))
    if token == class_word or token in _prompt_words() or rank < _COMMON_SHARE * len(base.tokenizer):
        raise ReageError(
            f"'{token}' is an ordinary word of the base {base.name}, whose meaning would be lost; give a rare one, such"
            " as sks or ohwx."
        )


def add_token(base: DiffusionBase, token: str, seed: int = 0) -> None:
    """Makes a word one token of the base; other tokens stay as they are.

    A word that was one token already keeps its embedding. A new one gets a random embedding with the mean and the
    standard deviation of the others: like the rare words of CLIP it has no meaning yet.
    """
    if _is_one_token(base.tokenizer, token):
        return
    embeddings = base.text_encoder.get_input_embeddings().weight.detach().float().cpu()
    noise = torch.randn(embeddings.shape[1], generator=Generator().manual_seed(seed))
    _insert_token(base, token, embeddings.mean(0) + embeddings.std(0) * noise)


def _insert_token(base: DiffusionBase, token: str, embedding: Tensor) -> None:
    from tokenizers import AddedToken

    base.tokenizer.add_tokens([AddedToken(token, single_word=True, normalized=False)])
    frozen = not any(weight.requires_grad for weight in base.text_encoder.parameters())
    base.text_encoder.resize_token_embeddings(len(base.tokenizer), mean_resizing=False)
    base.text_encoder.requires_grad_(not frozen)
    weight = base.text_encoder.get_input_embeddings().weight.data
    weight[base.tokenizer.convert_tokens_to_ids(token)] = embedding.to(weight)


def _is_one_token(tokenizer: CLIPTokenizer, word: str) -> bool:
    return len(tokenizer(word, add_special_tokens=False).input_ids) == 1


def _prompt_words() -> set[str]:
    """All words that prompts are made of."""
    prompts = [*all_prompts(), *(person_prompt("", "", label) for label in AGE_LABELS)]
    return {word for prompt in prompts for word in re.findall(r"\w+", prompt.lower())}


# The file


def save_person(path: str | Path, base: DiffusionBase, person: Person) -> None:
    """Writes what a base has learned of a person: LoRA matrices in their own precision, whole nets in 16 bits.

    Raises:
        WeightsError: when the file cannot be written.
    """
    nets = {"unet": base.unet, "text_encoder": base.text_encoder}
    tensors: dict[str, Any] = {
        f"{part}.{name}": value
        for part, net in nets.items()
        for name, value in trained_tensors(net, person.lora_rank).items()
    }
    tensors["identity"] = person.identity
    if person.token in base.tokenizer.get_added_vocab():
        row = base.tokenizer.convert_tokens_to_ids(person.token)
        tensors["token_embedding"] = base.text_encoder.get_input_embeddings().weight[row]
    config = {
        "kind": _KIND,
        "base": base.name,
        "base_hash": base.weights_hash,
        "token": person.token,
        "class_word": person.class_word,
        "lora_rank": person.lora_rank,
        "provenance": dict(person.provenance),
    }
    save_weights(path, tensors, config, fp16=not person.lora_rank)


def load_person(path: str | Path, device: str = "cpu", base: str | Path | None = None) -> tuple[DiffusionBase, Person]:
    """The base with the learned weights of a person, and the person.

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
            token=stored["token"],
            class_word=stored["class_word"],
            identity=tensors.pop("identity").numpy(),
            lora_rank=int(stored["lora_rank"]),
            provenance=stored["provenance"],
        )
        name, base_hash = str(base or stored["base"]), stored["base_hash"]
    found = hash_base(find_base(name))
    if found != base_hash:
        raise WeightsError(
            f"'{path}' was learned on the base {stored['base']} with the weights {base_hash}, but {name} has {found}; "
            "give that base with --base, or learn the person again on this one."
        )
    loaded = load_base(name, device)
    with made_for(path, f"a person on {name}", advice):
        _load_tensors(loaded, person, tensors)
    return loaded, person


def _load_tensors(base: DiffusionBase, person: Person, tensors: dict[str, Tensor]) -> None:
    if "token_embedding" in tensors:
        _insert_token(base, person.token, tensors.pop("token_embedding"))
    for part, net in (("unet", base.unet), ("text_encoder", base.text_encoder)):
        own = {key.removeprefix(f"{part}."): value for key, value in tensors.items() if key.startswith(f"{part}.")}
        load_trained_tensors(net, own, person.lora_rank)
