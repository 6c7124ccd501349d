"""Pages of real documents whose text is known.

The text is the Apache License of this repository, the Zen of Python and the language reference
that CPython carries for `help()`. It is set in real fonts, with the grain of a scan; some pages
lie upside down in the scanner, and some hold no text at all.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pydoc_data import topics as reference
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 896, 1024
MARGIN = 72
TITLE_SIZE, TEXT_SIZE, LEADING = 46, 34, 1.5
PAPER, INK = 238, 28
TOPICS = (
    "exceptions",
    "naming",
    "objects",
    "with",
    "class",
    "import",
    "lambda",
    "async",
    "booleans",
    "strings",
    "debugger",
    "typesseq",
    "execmodel",
    "function",
    "customization",
)

# Quotation marks, apostrophe, ellipsis and dashes, as a typewriter has them.
TYPEWRITTEN = str.maketrans(
    {"\u201c": '"', "\u201d": '"', "\u2019": "'", "\u2026": "...", "\u2013": "-", "\u2014": "-"}
)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Page:
    """One scanned page: grey pixels [HEIGHT, WIDTH], and the lines that were set on it."""

    name: str
    pixels: Pixels
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Document:
    title: str
    paragraphs: tuple[str, ...]


def plain(text: str) -> str:
    """The text in ASCII and without markup, as a typesetter would get it."""
    text = text.translate(TYPEWRITTEN)
    text = re.sub(r"[*`]", "", text)
    return re.sub(r"\s+", " ", text).strip()


def prose(text: str) -> tuple[str, ...]:
    """The paragraphs of running text: no headings, lists, code or grammar."""
    blocks = re.split(r"\n\s*\n", text)
    kept = (
        b for b in blocks if re.match(r"[A-Z]", b) and not re.search(r"^\s{2,}|^[*=\-]{3}", b, re.M)
    )
    found = (plain(block) for block in kept)
    return tuple(p for p in found if p.isascii() and len(p) > 60 and p.endswith("."))


def zen_of_python() -> Document:
    # Importing it prints it.
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    title, *aphorisms = codecs.decode(this.s, "rot13").splitlines()
    return Document(title, tuple(line for line in aphorisms if line))


def license_text(root: Path) -> Document:
    text = (root / "LICENSE").read_text(encoding="utf-8")
    blocks = (plain(block) for block in re.split(r"\n\s*\n", text))
    return Document("Apache License", tuple(b for b in blocks if len(b) > 60 and b.endswith(".")))


def language_reference(topics: tuple[str, ...] = TOPICS) -> list[Document]:
    texts = (reference.topics.get(topic, "") for topic in topics)
    found = (Document(plain(text.split("\n", 1)[0]), prose(text)) for text in texts)
    return [document for document in found if document.paragraphs]


def documents(root: Path) -> list[Document]:
    return [zen_of_python(), license_text(root), *language_reference()]


def sentences(root: Path, limit: int) -> list[str]:
    """Sentences of the documents and of the rest of the reference, each one once."""
    texts = [p for d in documents(root) for p in d.paragraphs]
    texts += [p for text in reference.topics.values() for p in prose(text)]
    found = (s for p in texts for s in re.split(r"(?<=[a-z)]\.) (?=[A-Z])", p))
    return list(dict.fromkeys(s for s in found if 20 <= len(s) <= 200))[:limit]


def wrap(paragraph: str, font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    """Break a paragraph into lines that are no wider than `width` pixels."""
    line = ""
    for word in paragraph.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            longer = word
        line = longer
    if line:
        yield line


def scan(image: Image.Image, rng: np.random.Generator, *, upside_down: bool) -> Pixels:
    """Add what a scanner adds: grain, and at times the wrong way up."""
    grain = rng.normal(0.0, 4.0, (HEIGHT, WIDTH))
    pixels = (np.asarray(image, dtype=np.float64) + grain).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels[::-1, ::-1]) if upside_down else pixels


def typeset(
    document: Document, fonts: tuple[Path, Path], max_lines: int
) -> tuple[Image.Image, tuple[str, ...]]:
    """Set the first `max_lines` lines of a document below its title."""
    title_font = ImageFont.truetype(str(fonts[0]), TITLE_SIZE)
    text_font = ImageFont.truetype(str(fonts[1]), TEXT_SIZE)
    image = Image.new("L", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    lines: list[str] = []
    y = float(MARGIN)
    for title_line in wrap(document.title, title_font, WIDTH - 2 * MARGIN):
        draw.text((MARGIN, y), title_line, fill=INK, font=title_font)
        lines.append(title_line)
        y += TITLE_SIZE * LEADING
    y += TITLE_SIZE * 0.5
    for paragraph in document.paragraphs:
        for line in wrap(paragraph, text_font, WIDTH - 2 * MARGIN):
            if len(lines) == max_lines or y + TEXT_SIZE * LEADING > HEIGHT - MARGIN:
                return image, tuple(lines)
            draw.text((MARGIN, y), line, fill=INK, font=text_font)
            lines.append(line)
            y += TEXT_SIZE * LEADING
        y += TEXT_SIZE * 0.5
    return image, tuple(lines)


def drawing(rng: np.random.Generator) -> Image.Image:
    """A page with a chart and no letters: axes and a curve."""
    image = Image.new("L", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    left, right, top, bottom = MARGIN, WIDTH - MARGIN, HEIGHT // 4, 3 * HEIGHT // 4
    draw.line((left, top, left, bottom, right, bottom), fill=INK, width=4)
    x = np.linspace(0.0, 1.0, 200)
    y = 0.5 + 0.35 * np.sin(x * 9 + rng.uniform(0, 6)) * np.exp(-x)
    curve = [
        (left + a * (right - left), bottom - b * (bottom - top)) for a, b in zip(x, y, strict=True)
    ]
    draw.line(curve, fill=INK, width=5)
    return image


def make_pages(root: Path, fonts: Path, max_lines: int = 11) -> list[Page]:
    """Every page of the demo: one for each document, then a blank page and a drawing."""
    serif = fonts / "font-caladea" / "font_caladea" / "files"
    sans = fonts / "ttf-opensans" / "ttf_opensans" / "ttf"
    faces = (
        (serif / "Caladea-Bold.ttf", serif / "Caladea-Regular.ttf"),
        (sans / "OpenSans-Bold.ttf", sans / "OpenSans-Regular.ttf"),
    )
    rng = np.random.default_rng(2024)
    pages = []
    for i, document in enumerate(documents(root)):
        lines_here = max_lines - i % 4
        image, lines = typeset(document, faces[i % len(faces)], lines_here)
        pages.append(Page(document.title, scan(image, rng, upside_down=i % 6 == 3), lines))
    blank = Image.new("L", (WIDTH, HEIGHT), PAPER)
    pages.insert(3, Page("a blank page", scan(blank, rng, upside_down=False), ()))
    pages.insert(9, Page("a drawing", scan(drawing(rng), rng, upside_down=True), ()))
    return pages
