"""Finding text: the page for the detector, and boxes from its probability map.

The detector is a DB model (Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", 2020): it marks the cores of text regions, which are grown back by the ratio of
area to perimeter. Regions of these pages are upright, so that boxes are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# Half the size of a page, and multiples of 32 as the network needs: the one fixed row shape.
INPUT_HEIGHT, INPUT_WIDTH = 512, 448
PIXEL_THRESHOLD, BOX_THRESHOLD, UNCLIP_RATIO = 0.3, 0.5, 1.6
SMALLEST_SIDE = 3
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

Floats = np.ndarray[Any, np.dtype[np.float32]]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Box:
    """An upright rectangle in page pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def detector_row(page: Pixels) -> Floats:
    """The page as one row of the detector: float32 [1, 3, INPUT_HEIGHT, INPUT_WIDTH]."""
    small = Image.fromarray(page).resize((INPUT_WIDTH, INPUT_HEIGHT), Image.Resampling.BILINEAR)
    grey = np.asarray(small, dtype=np.float32)[..., None] / 255.0
    return np.ascontiguousarray(((grey - MEAN) / DEVIATION).transpose(2, 0, 1)[None])


def runs_of(line: Mask) -> list[tuple[int, int]]:
    """The stretches of True in one line, as half-open ranges."""
    edges = np.flatnonzero(np.diff(line, prepend=False, append=False))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def regions_of(mask: Mask) -> list[tuple[int, int, int, int]]:
    """Bounds (left, top, right, bottom) of the regions whose pixels touch, corners included."""
    parent: list[int] = []
    bounds: list[tuple[int, int, int, int]] = []

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    above: list[tuple[int, int, int]] = []
    for y, line in enumerate(mask):
        here: list[tuple[int, int, int]] = []
        for left, right in runs_of(line):
            label = len(parent)
            parent.append(label)
            bounds.append((left, y, right, y + 1))
            for other_left, other_right, other in above:
                if other_left <= right and left <= other_right:
                    a, b = root(other), root(label)
                    if a != b:
                        parent[b] = a
                        bounds[a] = union(bounds[a], bounds[b])
            here.append((left, right, label))
        above = here
    return [bounds[label] for label in range(len(parent)) if parent[label] == label]


def union(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def find_boxes(probability: Floats, page: Pixels) -> list[Box]:
    """The boxes of text on the page, from the detector's map [INPUT_HEIGHT, INPUT_WIDTH]."""
    height, width = page.shape
    scale_x, scale_y = width / probability.shape[1], height / probability.shape[0]
    mask = probability > PIXEL_THRESHOLD
    boxes = []
    for left, top, right, bottom in regions_of(mask):
        core_width, core_height = right - left, bottom - top
        inside = mask[top:bottom, left:right]
        score = float(probability[top:bottom, left:right][inside].mean())
        if min(core_width, core_height) < SMALLEST_SIDE or score < BOX_THRESHOLD:
            continue
        margin = UNCLIP_RATIO * core_width * core_height / (2 * (core_width + core_height))
        boxes.append(
            Box(
                left=max(0, round((left - margin) * scale_x)),
                top=max(0, round((top - margin) * scale_y)),
                right=min(width, round((right + margin) * scale_x)),
                bottom=min(height, round((bottom + margin) * scale_y)),
            )
        )
    return boxes


def reading_order(boxes: list[Box]) -> list[list[Box]]:
    """Boxes as lines from top to bottom, and from left to right in each line."""
    lines: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box.middle):
        if lines and abs(box.middle - lines[-1][0].middle) < 0.5 * lines[-1][0].height:
            lines[-1].append(box)
        else:
            lines.append([box])
    return [sorted(line, key=lambda box: box.left) for line in lines]
