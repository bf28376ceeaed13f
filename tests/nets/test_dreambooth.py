"""Files of persons: what they restore, which base they need, and which tokens are accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from reage.errors import ReageError, WeightsError
from reage.nets.diffusion import DiffusionBase, build_base, load_base, save_base, tiny
from reage.nets.dreambooth import Person, add_token, check_token, load_person, save_person
from reage.nets.lora import add_lora
from reage.nets.tokens import build_tokenizer
from reage.prompts import AGE_LABELS, all_prompts
from reage.weights import find_weights, load_weights

IDENTITY = np.linspace(-0.1, 0.1, 128, dtype=np.float32)


def build(seed: int) -> DiffusionBase:
    torch.manual_seed(seed)
    return build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bases") / "ldm-tiny"
    save_base(path, build(0))
    return path


def predict(base: DiffusionBase, prompt: str) -> Tensor:
    latents = torch.randn(1, base.latent_channels, 8, 8, generator=Generator().manual_seed(0))
    with torch.inference_mode():
        return base.predict(latents, torch.tensor([500]), base.embed([prompt]))


@pytest.fixture
def learn(folder: Path, tmp_path: Path) -> Callable[[int], tuple[DiffusionBase, Person, Path]]:
    """A base whose trained weights got random changes, and the file of it."""

    def make(lora_rank: int) -> tuple[DiffusionBase, Person, Path]:
        base = load_base(folder)
        add_token(base, "sks", seed=4)
        if lora_rank:
            add_lora(base, lora_rank, text_encoder=True)
        torch.manual_seed(1)
        for part in (base.unet, base.text_encoder):
            for name, weight in part.named_parameters():
                if not lora_rank or "lora_B" in name:
                    weight.data.add_(0.1 * torch.randn_like(weight))
            part.requires_grad_(False)
        person = Person(
            token="sks", class_word="person", identity=IDENTITY, lora_rank=lora_rank, provenance={"seed": 3}
        )
        save_person(tmp_path / "mia.safetensors", base, person)
        return base, person, tmp_path / "mia.safetensors"

    return make


# The file


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_file_restores_the_person(lora_rank: int, learn: Callable[..., tuple[DiffusionBase, Person, Path]]) -> None:
    base, person, path = learn(lora_rank)
    loaded, same = load_person(path)
    assert (same.token, same.class_word, same.lora_rank, same.provenance) == ("sks", "person", lora_rank, {"seed": 3})
    np.testing.assert_allclose(same.identity, person.identity, atol=1e-4)
    assert loaded.token_ids([person.prompt()]).equal(base.token_ids([person.prompt()]))
    for label in ("", "old"):
        tolerance = 0.0 if lora_rank else 0.02  # whole nets are stored in 16 bits
        torch.testing.assert_close(
            predict(loaded, same.prompt(label)), predict(base, person.prompt(label)), rtol=0, atol=tolerance
        )
    assert not any(weight.requires_grad for part in (loaded.unet, loaded.text_encoder) for weight in part.parameters())


def test_the_learned_weights_change_the_prediction(
    learn: Callable[..., tuple[DiffusionBase, Person, Path]], folder: Path
) -> None:
    _, person, path = learn(2)
    loaded, _ = load_person(path)
    assert (predict(loaded, person.prompt()) - predict(load_base(folder), person.prompt())).abs().max() > 0.01


def test_a_file_of_matrices_holds_nothing_of_the_base(learn: Callable[..., tuple[DiffusionBase, Person, Path]]) -> None:
    _, _, path = learn(2)
    tensors, stored = load_weights(path)
    assert {name for name in tensors if "lora_" not in name} == {"identity", "token_embedding"}
    assert tensors["token_embedding"].shape == (16,)
    assert (stored["base_hash"], len(stored["base_hash"])) == (load_person(path)[0].weights_hash, 12)


def test_another_base_is_refused_and_the_right_one_named(
    learn: Callable[..., tuple[DiffusionBase, Person, Path]], folder: Path, tmp_path: Path
) -> None:
    base, _, path = learn(2)
    save_base(tmp_path / "other", build(7))
    with pytest.raises(WeightsError, match=f"on the base {folder} with the weights {base.weights_hash}, but"):
        load_person(path, base=tmp_path / "other")
    save_base(tmp_path / "moved", load_base(folder))
    assert load_person(path, base=tmp_path / "moved")[0].name == str(tmp_path / "moved")


def test_other_files_are_refused(learn: Callable[..., tuple[DiffusionBase, Person, Path]], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no file of a person; make one with reage personalize"):
        load_person(find_weights("zones-a"))
    with pytest.raises(WeightsError, match="no weights file"):
        load_person(tmp_path / "nobody.safetensors")


# The token


def test_a_rare_word_becomes_one_token_and_no_other_changes() -> None:
    base = build(0)
    before = base.tokenizer.get_vocab()
    known = base.token_ids(["photo of a person", *map(str, AGE_LABELS)])
    weights = base.text_encoder.get_input_embeddings().weight.clone()
    add_token(base, "sks")
    assert base.tokenizer.get_vocab() == {**before, "sks": len(before)}
    assert base.token_ids(["photo of a person", *map(str, AGE_LABELS)]).equal(known)
    (ids,) = base.token_ids(["photo of a sks person as old"]).tolist()
    tokens = [token.removesuffix("</w>") for token in base.tokenizer.convert_ids_to_tokens(ids)]
    assert tokens[1:9] == ["photo", "of", "a", "sks", "person", "a", "s", "old"]
    rows = base.text_encoder.get_input_embeddings().weight
    assert rows[:-1].equal(weights)
    assert 0.7 < (rows[-1].std() / weights.std()).item() < 1.4
    add_token(base, "sks")
    assert len(base.tokenizer) == len(before) + 1 == base.text_encoder.config.vocab_size


def test_the_seed_decides_on_the_embedding() -> None:
    rows = []
    for seed in (0, 0, 1):
        base = build(0)
        add_token(base, "sks", seed)
        rows.append(base.text_encoder.get_input_embeddings().weight[-1])
    assert rows[0].equal(rows[1])
    assert not rows[0].equal(rows[2])


@pytest.mark.parametrize("word", ["person", "photo", "old", "youngadults", "eyebrows", "as", "a", "woman"])
def test_ordinary_words_are_refused(word: str) -> None:
    with pytest.raises(ReageError, match=f"'{word}' is an ordinary word of the base ldm-tiny.*such as sks"):
        check_token(build(0), word, "woman")


def test_a_frequent_word_is_ordinary_and_a_rare_one_is_not() -> None:
    base, letters = build(0), np.random.default_rng(0).choice(list("bdklmnrstaeiou"), (600, 5))
    base.tokenizer = build_tokenizer(["zebra " * 900, " ".join(map("".join, letters)), "qxgnuqx"])
    vocabulary = base.tokenizer.get_vocab()
    assert vocabulary["zebra</w>"] < vocabulary["qxgnuqx</w>"]
    check_token(base, "qxgnuqx", "person")
    with pytest.raises(ReageError, match="'zebra' is an ordinary word"):
        check_token(base, "zebra", "person")


@pytest.mark.parametrize("word", ["", "two words", "Sks", "sks!", "7", "é"])
def test_tokens_that_are_no_single_word_are_refused(word: str) -> None:
    with pytest.raises(ReageError, match="is no single word"):
        check_token(build(0), word, "person")
    with pytest.raises(ReageError, match="is no single word"):
        check_token(build(0), "sks", word)


@pytest.mark.parametrize("word", ["sks", "ohwx", "zwx7"])
def test_rare_words_are_fine(word: str) -> None:
    check_token(build(0), word, "person")
