"""Reading text: crops for the classifier and the recogniser, and what their outputs say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from detect import Box, Floats, Pixels

# The one row shape of the classifier, which sees the start of a crop.
CLASSIFIER_HEIGHT, CLASSIFIER_WIDTH = 48, 192
# A crop is padded to the next of these widths, before any of the ways to run the model sees it: the
# recogniser looks at all columns, so that more padding would change its answer. What is wider than
# all is cut between words.
RECOGNISER_HEIGHT, RECOGNISER_WIDTHS = 48, (64, 128, 192, 256, 320)
# Gaps between words are wider than this part of a line's widest gap, gaps between letters are not.
WORD_GAP = 0.6

Array = np.ndarray[Any, Any]


def normalised(crop: Pixels, height: int, width: int) -> Floats:
    """The crop at the given height, its sides kept in proportion, padded: [1, 3, height, width]."""
    scaled_width = min(width, max(1, round(crop.shape[1] * height / crop.shape[0])))
    scaled = Image.fromarray(crop).resize((scaled_width, height), Image.Resampling.BILINEAR)
    row = np.zeros((1, 3, height, width), dtype=np.float32)
    row[..., :scaled_width] = np.asarray(scaled, dtype=np.float32) / 127.5 - 1.0
    return row


def classifier_row(crop: Pixels) -> Floats:
    """The start of the crop as one row of the classifier of directions."""
    return normalised(crop, CLASSIFIER_HEIGHT, CLASSIFIER_WIDTH)


def recogniser_row(crop: Pixels) -> Floats:
    """The crop as one row of the recogniser, in the narrowest of its widths."""
    wanted = own_width(crop)
    width = next((w for w in RECOGNISER_WIDTHS if w >= wanted), RECOGNISER_WIDTHS[-1])
    return normalised(crop, RECOGNISER_HEIGHT, width)


def own_width(crop: Pixels) -> int:
    """How wide the crop is at the height of the recogniser."""
    height, width = crop.shape
    wanted = round(int(width) * RECOGNISER_HEIGHT / int(height))
    return min(max(1, wanted), RECOGNISER_WIDTHS[-1])


def is_upside_down(scores: Array) -> bool:
    """What the classifier says of one row: [p(upright), p(turned by 180 degrees)]."""
    return bool(scores[1] > scores[0])


def crop_of(page: Pixels, box: Box) -> Pixels:
    return np.ascontiguousarray(page[box.top : box.bottom, box.left : box.right])


def turned(crop: Pixels) -> Pixels:
    return np.ascontiguousarray(crop[::-1, ::-1])


def cut_between_words(crop: Pixels) -> list[Pixels]:
    """Cut a crop that is too wide for the recogniser: each piece takes the words that fit."""
    height, width = crop.shape
    limit = height * RECOGNISER_WIDTHS[-1] // RECOGNISER_HEIGHT
    empty = [gap for gap in empty_columns(crop) if gap[0] > 0 and gap[1] < width]
    word_gap = WORD_GAP * max((right - left for left, right in empty), default=0)
    gaps = [(left + right) // 2 for left, right in empty if right - left >= word_gap]
    cuts = [0]
    while width - cuts[-1] > limit:
        within = [gap for gap in gaps if cuts[-1] < gap <= cuts[-1] + limit]
        cuts.append(within[-1] if within else cuts[-1] + limit)
    cuts.append(width)
    return [np.ascontiguousarray(crop[:, a:b]) for a, b in itertools.pairwise(cuts)]


def empty_columns(crop: Pixels) -> list[tuple[int, int]]:
    """The stretches of columns without ink, as half-open ranges."""
    ink = crop.min(axis=0) < 0.7 * float(np.median(crop))
    edges = np.flatnonzero(np.diff(~ink, prepend=False, append=False))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class Alphabet:
    """The recogniser's classes: a blank, the characters of its metadata, and a space."""

    def __init__(self, metadata: str) -> None:
        self.classes = ("", *metadata.splitlines(), " ")

    def decode(self, scores: Array) -> str:
        """Greedy CTC: the best class of each step [steps, classes], repeats and blanks dropped."""
        if scores.shape[1] != len(self.classes):
            raise ValueError(f"scores: expected {len(self.classes)} classes, got {scores.shape[1]}")
        best = scores.argmax(axis=1)
        kept = best[np.flatnonzero(np.diff(best, prepend=-1))]
        return "".join(self.classes[i] for i in kept)


def edit_distance(found: Sequence[str], truth: Sequence[str]) -> int:
    """Levenshtein: the fewest insertions, deletions and replacements."""
    previous = list(range(len(truth) + 1))
    for i, a in enumerate(found, 1):
        current = [i]
        for j, b in enumerate(truth, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b)))
        previous = current
    return previous[-1]
