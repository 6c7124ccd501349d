"""The models that loads are put on: the test models, built or fetched below build/models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.load.contenders import Feeds, Rows

ROOT = Path(__file__).resolve().parents[2]
SMALL_MODELS = ROOT / "build" / "models" / "small"

# The modules that describe the models belong to the tests.
sys.path.append(str(ROOT / "tests" / "models"))

if TYPE_CHECKING:
    from real_models import RealModel


def existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there; `make models` builds and fetches all models")
    return path


def small_model(name: str, count: int) -> Rows:
    """A model of tests/models/build.py, with distinct rows."""
    from model_cases import case_named

    return Rows.of(existing(SMALL_MODELS / f"{name}.onnx"), split(case_named(name).feeds(count)))


def real_model(name: str, count: int) -> tuple[RealModel, Rows]:
    """A model of a package, with distinct rows that look like its real input."""
    from real_models import real_models

    model = real_models()[name]
    return model, Rows.of(existing(model.path), split(model.feeds(count)), model.tolerance)


def split(feeds: Feeds) -> Sequence[Feeds]:
    """One feed a row; each with memory of its own, as those of many callers are."""
    (count,) = {len(array) for array in feeds.values()}
    return [{name: array[i : i + 1].copy() for name, array in feeds.items()} for i in range(count)]
