"""Concurrent threads through one model: `python threads.py MODEL.onnx`.

The model has one float32 input and independent rows, such as an MLP. Without dynbatch the line that
loads it would say `onnxruntime.InferenceSession`; nothing else differs.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import dynbatch

CALLERS = 32
REQUESTS = 640


def main() -> None:
    with dynbatch.load(sys.argv[1]) as model, ThreadPoolExecutor(CALLERS) as callers:
        (entry,) = model.get_inputs()
        rows = np.random.default_rng(0).standard_normal((REQUESTS, *entry.shape[1:]))
        feeds = [{entry.name: row[np.newaxis].astype(np.float32)} for row in rows]

        answers = list(callers.map(lambda feed: model.run(None, feed)[0], feeds))

        alone = [model.run(None, feed)[0] for feed in feeds[:8]]
        for one, among_others in zip(alone, answers, strict=False):
            np.testing.assert_allclose(among_others, one, rtol=1e-4, atol=1e-5)
        stats = model.stats()
        print(f"{stats.succeeded} requests in {stats.batches} runs, at most {stats.gear_table.cap}")
        for size, count in enumerate(stats.batches_by_size):
            if count > 0:
                print(f"  batches of {size}: {count}")


if __name__ == "__main__":
    main()
