"""Lengths of rows: of sentences, of requests to a language model, and widths of text lines."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

# Sentences of written English have about 20 words, and most are within a factor of 2 of that.
SENTENCE_MEDIAN, SENTENCE_SIGMA = 24, 0.6  # tokens; of their natural logarithm
SHORTEST_SENTENCE, LONGEST_SENTENCE = 4, 128

# Context tokens of the requests of the trace "Azure LLM inference 2023, conversation" (19 366
# requests; https://github.com/Azure/AzurePublicDataset, CC-BY 4.0): its 64 quantiles (1/128,
# 3/128, ..), divided by 16, so that they fit a model of sentences, and at least 4.
CONVERSATION = (
    *(4, 8, 11, 11, 12, 13, 13, 14, 15, 23, 24, 24, 24, 24, 25, 25, 25, 25, 25, 25, 25, 26),
    *(26, 26, 27, 42, 55, 59, 61, 62, 63, 64, 64, 65, 65, 66, 66, 66, 67, 68, 68, 68, 69, 70),
    *(70, 71, 72, 74, 76, 79, 82, 82, 86, 101, 119, 136, 153, 168, 232, 255, 255, 255, 256, 260),
)

LINE_STEP, NARROWEST_LINE, WIDEST_LINE = 32, 96, 512  # pixels, of lines that are 48 high
LINE_MEDIAN, LINE_SIGMA = 240, 0.5


def lognormal(median: float, sigma: float, shortest: int, longest: int, count: int) -> list[int]:
    """Evenly spaced quantiles of a lognormal distribution, within bounds; rising."""
    normal = statistics.NormalDist(math.log(median), sigma)
    values = (math.exp(normal.inv_cdf((i + 0.5) / count)) for i in range(count))
    return [min(max(round(value), shortest), longest) for value in values]


def sentences(count: int) -> list[int]:
    """Tokens of sentences, lognormal."""
    return lognormal(SENTENCE_MEDIAN, SENTENCE_SIGMA, SHORTEST_SENTENCE, LONGEST_SENTENCE, count)


def conversations(count: int) -> list[int]:
    """Tokens of requests as in the trace, scaled."""
    return [CONVERSATION[i * len(CONVERSATION) // count] for i in range(count)]


def lines(count: int) -> list[int]:
    """Widths of text lines, rounded up to whole steps as readers of lines do."""
    widths = lognormal(LINE_MEDIAN, LINE_SIGMA, NARROWEST_LINE, WIDEST_LINE, count)
    return [-(-width // LINE_STEP) * LINE_STEP for width in widths]


def dealt(rising: Sequence[int], callers: int, seed: int = 5) -> list[int]:
    """The same lengths in an order in which caller k of n has those at k, k + n, k + 2 n..

    Each caller gets one of each of equally many parts of the distribution, in an order of its own,
    so that a batcher that lets some wait for others does not serve more short rows for it.
    """
    rng = np.random.default_rng(seed)
    parts: list[Any] = [
        rng.permutation(part) for part in np.split(np.array(rising), len(rising) // callers)
    ]
    order = np.array([rng.permutation(len(parts)) for _ in range(callers)])
    return [int(parts[order[k][j]][k]) for j in range(len(parts)) for k in range(callers)]
