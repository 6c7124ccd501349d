"""Sentences as rows of MiniLM, and what their embeddings say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from engines import Array, Feeds

# The lengths to which dynbatch pads the rows of a batch. Longer sentences are cut.
LENGTHS = (16, 24, 32, 48, 64, 96)
EMBEDDING = "461"


def load_tokenizer(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(LENGTHS[-1])
    tokenizer.no_padding()
    return tokenizer


def sentence_rows(tokenizer: Tokenizer, sentences: Sequence[str]) -> list[Feeds]:
    """One row for each sentence: its token ids, and a mask of ones, int64 [1, tokens]."""
    return [
        {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask], dtype=np.int64),
        }
        for encoding in tokenizer.encode_batch(list(sentences))
    ]


def embedding_of(outputs: list[Array]) -> Array:
    """The embedding of a request of one row: float32 [384]."""
    row: Array = outputs[0][0]
    return row


def closest_pair(sentences: Sequence[str], embeddings: Sequence[Array]) -> tuple[str, str, float]:
    """The two sentences whose meanings are nearest, and the cosine between them."""
    vectors = np.stack(embeddings)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = np.triu(vectors @ vectors.T, k=1)
    a, b = divmod(int(cosines.argmax()), len(vectors))
    return sentences[a], sentences[b], float(cosines[a, b])
