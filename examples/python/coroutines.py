"""Concurrent coroutines through one model: `python coroutines.py MODEL.onnx`.

The event loop is woken once for each batch, however many coroutines wait for it.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np

import dynbatch


async def serve(model: dynbatch.Model, requests: int) -> None:
    (entry,) = model.get_inputs()
    rows = np.random.default_rng(0).standard_normal((requests, 1, *entry.shape[1:]))
    tasks = [model.infer_async({entry.name: row.astype(np.float32)}) for row in rows]
    answers = await asyncio.gather(*tasks)
    print(f"{len(answers)} answers, each of {', '.join(answers[0])}")
    try:
        await model.infer_async({entry.name: rows[0].astype(np.float64)})
    except dynbatch.InvalidInput as error:
        print(f"refused before it was queued: {error}")


def main() -> None:
    with dynbatch.load(sys.argv[1]) as model:
        asyncio.run(serve(model, 256))
        print(f"{model.stats().batches} runs")


if __name__ == "__main__":
    main()
