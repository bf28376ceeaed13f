"""A CLIP tokenizer built from our own captions, in which a number such as 73 is one token, not two.

Convention:
    token ids (B, L) int64, L the longest prompt; numbers are the whole ones from 0 to 100.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import CLIPTokenizer

NUMBERS = range(101)
"""Ages in years and wrinkle scores in hundredths; each has a token of its own."""

_START, _END, _WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
_MAX_VOCABULARY = 4096
_FREQUENCIES = (0.25, 0.5, 1.0, 2.0)
"""Of the first number embeddings, periods from 0 to 100."""


def build_tokenizer(corpus: Iterable[str], max_tokens: int = 32, folder: str | Path | None = None) -> CLIPTokenizer:
    """A tokenizer in which every word of the corpus is one token; any other word is split into pieces.

    As in CLIP, text is put in lower case, a word ends with `</w>`, and a prompt is between a start and an end token.

    Args:
        corpus: captions; the same ones give the same tokens.
        max_tokens: of the longest prompt, with start and end token.
        folder: to save it to, for `CLIPTokenizer.from_pretrained`; None does not save it.
    """
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import CLIPTokenizer

    merges = _learn_merges(corpus, CLIPTokenizer().backend_tokenizer)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + _WORD_END for letter in letters), *map("".join, merges), _START, _END]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=max_tokens)
    tokenizer.add_tokens([AddedToken(str(number), single_word=True, normalized=False) for number in NUMBERS])
    if folder is not None:
        tokenizer.save_pretrained(folder)
    return tokenizer


def _learn_merges(corpus: Iterable[str], backend: Tokenizer) -> list[tuple[str, str]]:
    """The merges of byte pair encoding for the words of the corpus, which `backend` splits into words."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    learner = Tokenizer(BPE(end_of_word_suffix=_WORD_END))
    learner.normalizer, learner.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
    trainer = BpeTrainer(vocab_size=_MAX_VOCABULARY, end_of_word_suffix=_WORD_END, show_progress=False)
    learner.train_from_iterator(corpus, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]


def find_number_ids(tokenizer: CLIPTokenizer) -> list[int]:
    """The ids of the tokens of 0 to 100; empty when the tokenizer splits numbers into digits, as CLIP's own does."""
    known = tokenizer.get_added_vocab()
    return [known[str(number)] for number in NUMBERS] if all(str(number) in known for number in NUMBERS) else []


def make_number_curve(width: int, std: float) -> Tensor:
    """Initial embeddings of the numbers, (101, width): those of neighbours are similar, and no two are equal.

    Args:
        width: length of an embedding.
        std: of the values, on average over the random projections, which are drawn from torch's global generator.
    """
    angles = 2 * math.pi * torch.arange(len(NUMBERS))[:, None] / 100 * torch.tensor(_FREQUENCIES)
    features = torch.cat([angles.sin(), angles.cos()], 1)
    return features @ torch.randn(features.shape[1], width) * (std / math.sqrt(len(_FREQUENCIES)))


def tokenize(tokenizer: CLIPTokenizer, prompts: Iterable[str], max_tokens: int) -> Tensor:
    """The token ids (B, max_tokens) of prompts, shorter ones padded, longer ones truncated."""
    ids: Tensor = tokenizer(
        list(prompts), padding="max_length", max_length=max_tokens, truncation=True, return_tensors="pt"
    ).input_ids
    return ids
