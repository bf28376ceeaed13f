"""Words for the diffusion engines: a CLIP tokenizer made from our own captions, in which 73 is one word, not 7 and 3.

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
_MOST_PIECES = 4096
_WAVES = (0.25, 0.5, 1.0, 2.0)  # of the curve, periods from 0 to 100


def build_tokenizer(corpus: Iterable[str], max_tokens: int = 32, folder: str | Path | None = None) -> CLIPTokenizer:
    """A tokenizer that knows the words of the corpus as wholes, and can spell any other.

    It reads text as CLIP does: lower case, `</w>` after a word, both marks around a prompt.

    Args:
        corpus: captions; the same ones give the same tokens.
        max_tokens: tokens of the longest prompt, with both marks.
        folder: to write it to, for `CLIPTokenizer.from_pretrained`; None writes nothing.
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


def _learn_merges(corpus: Iterable[str], frame: Tokenizer) -> list[tuple[str, str]]:
    """PairedLatents of pieces that make the words of the corpus, cut into words as `frame` does."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    learner = Tokenizer(BPE(end_of_word_suffix=_WORD_END))
    learner.normalizer, learner.pre_tokenizer = frame.normalizer, frame.pre_tokenizer
    trainer = BpeTrainer(vocab_size=_MOST_PIECES, end_of_word_suffix=_WORD_END, show_progress=False)
    learner.train_from_iterator(corpus, trainer)
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]


def find_number_ids(tokenizer: CLIPTokenizer) -> list[int]:
    """The ids of the tokens of 0 to 100; empty when the tokenizer spells numbers digit by digit, as CLIP's own does."""
    known = tokenizer.get_added_vocab()
    return [known[str(number)] for number in NUMBERS] if all(str(number) in known for number in NUMBERS) else []


def make_number_curve(width: int, std: float) -> Tensor:
    """First embeddings for the numbers, (101, width): neighbours are alike, and no two are the same.

    Args:
        width: of an embedding.
        std: of its values over many curves; each curve is drawn from torch's own random numbers.
    """
    turns = 2 * math.pi * torch.arange(len(NUMBERS))[:, None] / 100 * torch.tensor(_WAVES)
    features = torch.cat([turns.sin(), turns.cos()], 1)
    return features @ torch.randn(features.shape[1], width) * (std / math.sqrt(len(_WAVES)))


def tokenize(tokenizer: CLIPTokenizer, prompts: Iterable[str], max_tokens: int) -> Tensor:
    """Prompts -> ids (B, max_tokens), shorter ones filled up, longer ones cut."""
    ids: Tensor = tokenizer(
        list(prompts), padding="max_length", max_length=max_tokens, truncation=True, return_tensors="pt"
    ).input_ids
    return ids
