"""Reading a page: detect, classify, recognise, each row a call, as users write it."""

from __future__ import annotations

from dataclasses import dataclass

from detect import Pixels, detector_row, find_boxes, reading_order
from engines import Array, Engine
from pages import Page
from recognise import (
    Alphabet,
    classifier_row,
    crop_of,
    cut_between_words,
    edit_distance,
    is_upside_down,
    recogniser_row,
    turned,
)


@dataclass(frozen=True)
class Reading:
    """What was found on a page: the pieces of its lines as cut from it, and as read."""

    page: Page
    pieces: tuple[Pixels, ...]
    upright: tuple[Pixels, ...]
    texts: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    @property
    def errors(self) -> int:
        """Characters that differ from the truth, as edits."""
        return edit_distance(self.text, self.page.text)


@dataclass(frozen=True)
class Reader:
    """The three models. Any number of threads may read pages at once."""

    detector: Engine
    classifier: Engine
    recogniser: Engine
    alphabet: Alphabet

    def read(self, page: Page) -> Reading:
        (probability,) = self.detector.run({"x": detector_row(page.pixels)})
        lines = [
            [p for box in line for p in cut_between_words(crop_of(page.pixels, box))]
            for line in reading_order(find_boxes(probability[0, 0], page.pixels))
        ]
        pieces = tuple(piece for line in lines for piece in line)
        votes = [self.turned_in(self.classifier.run({"x": classifier_row(p)})) for p in pieces]
        # A page lies one way: its pieces vote, since the classifier may err on a short one.
        if 2 * sum(votes) > len(votes):
            lines = [[turned(piece) for piece in reversed(line)] for line in reversed(lines)]
        upright = tuple(piece for line in lines for piece in line)
        texts = [
            [self.text_in(self.recogniser.run({"x": recogniser_row(piece)})) for piece in line]
            for line in lines
        ]
        joined = (" ".join(text for text in line if text) for line in texts)
        return Reading(
            page=page,
            pieces=pieces,
            upright=upright,
            texts=tuple(text for line in texts for text in line),
            lines=tuple(line for line in joined if line),
        )

    @staticmethod
    def turned_in(outputs: list[Array]) -> bool:
        return is_upside_down(outputs[0][0])

    def text_in(self, outputs: list[Array]) -> str:
        return self.alphabet.decode(outputs[0][0]).strip()
