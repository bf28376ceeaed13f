"""The tokenizer of the diffusion bases: numbers are single tokens, and saving keeps all tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reage.nets.tokens import NUMBERS, build_tokenizer, find_number_ids, make_number_curve, tokenize

CAPTIONS = [f"close-up photo of the {zone}, wrinkle score {n}" for n in (0, 73) for zone in ("upper lip", "forehead")]


def words(text: str) -> list[str]:
    tokenizer = build_tokenizer(CAPTIONS)
    return [token.removesuffix("</w>") for token in tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)[1:-1]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("wrinkle score 73", ["wrinkle", "score", "73"]),
        ("Photo, wrinkle  SCORE 7", ["photo", ",", "wrinkle", "score", "7"]),
        ("score 100, lip 0", ["score", "100", ",", "lip", "0"]),
        ("score 107", ["score", "1", "0", "7"]),
        ("close-up", ["close", "-", "up"]),
        ("", []),
    ],
)
def test_words_and_numbers_are_single_tokens(text: str, tokens: list[str]) -> None:
    assert words(text) == tokens


def test_every_number_is_one_token() -> None:
    tokenizer = build_tokenizer(CAPTIONS)
    lengths = {len(tokenizer(f"score {number}").input_ids) for number in NUMBERS}
    assert lengths == {4}


def test_any_text_can_be_tokenized() -> None:
    tokenizer = build_tokenizer(CAPTIONS)
    ids = tokenizer("Zebra ÿ 数 😀 x73").input_ids
    assert tokenizer.eos_token_id not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True).startswith("zebra ÿ 数 😀 x")


def test_a_loaded_tokenizer_gives_the_same_tokens(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    built = build_tokenizer(CAPTIONS, 24, tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path)
    for text in [*CAPTIONS, "age 7", "score 107, 35", "any Other word"]:
        assert loaded(text).input_ids == built(text).input_ids
    assert (len(loaded), loaded.model_max_length) == (len(built), 24)
    assert find_number_ids(loaded) == find_number_ids(built)
    assert build_tokenizer(CAPTIONS, 24).get_vocab() == built.get_vocab()


def test_numbers_are_found_by_their_ids() -> None:
    tokenizer = build_tokenizer(CAPTIONS)
    ids = find_number_ids(tokenizer)
    assert len(set(ids)) == len(NUMBERS)
    assert tokenizer.convert_ids_to_tokens(ids) == [str(number) for number in NUMBERS]
    assert find_number_ids(type(tokenizer)()) == []


def test_prompts_have_one_length() -> None:
    tokenizer = build_tokenizer(CAPTIONS)
    ids = tokenize(tokenizer, ["", "score 73", "score " * 50], 8)
    assert (ids.shape, ids.dtype) == ((3, 8), torch.int64)
    assert (ids[:, 0] == tokenizer.bos_token_id).all()
    assert (ids[:, -1] == tokenizer.eos_token_id).all()


def test_embeddings_of_near_numbers_are_similar() -> None:
    torch.manual_seed(0)
    curve = make_number_curve(128, 0.02)
    distances = torch.cdist(curve, curve)
    near, far = distances.diagonal(1), distances.diagonal(25)
    assert near.min() > 0
    assert near.max() < far.min() / 4
    assert distances[0, 100] > far.min(), "the curve is open"
    assert 0.015 < curve.std() < 0.025
