"""Sentences of every length in shared batches: `python shapes.py TEXT.onnx`.

The model has the inputs `ids` and `attention_mask`, both int64 [batch, sequence], as exported text
encoders do, and an output `pooled` with a vector for each sentence.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np

import dynbatch


async def main() -> None:
    rng = np.random.default_rng(0)
    sentences = [rng.integers(0, 16, (1, length)) for length in rng.integers(3, 33, 64)]

    # Rows of a batch are padded to 8, 16 or 32 tokens. The mask, which callers leave out, tells the
    # model what is padding; at load it is checked that padding then changes no answer.
    with dynbatch.load(
        sys.argv[1],
        inputs={"ids": dynbatch.Input(mask="attention_mask")},
        lengths={"sequence": [8, 16, 32]},
        batching="always",
    ) as model:
        answers = await asyncio.gather(*(model.infer_async({"ids": ids}) for ids in sentences))
        alone = model.infer({"ids": sentences[0]})

    assert np.allclose(answers[0]["pooled"], alone["pooled"], atol=1e-5)
    stats = model.stats()
    padding = stats.padded_elements / (stats.elements + stats.padded_elements)
    print(f"{stats.rows} sentences in {stats.batches} batches, {padding:.0%} of them padding")


if __name__ == "__main__":
    asyncio.run(main())
