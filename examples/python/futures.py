"""Futures, callbacks and ordered streams: `python futures.py MODEL.onnx`."""

from __future__ import annotations

import concurrent.futures
import sys

import numpy as np

import dynbatch


def main() -> None:
    with dynbatch.load(sys.argv[1]) as model:
        (entry,) = model.get_inputs()
        (output,) = model.get_outputs()
        rng = np.random.default_rng(0)

        def feed(rows: int) -> dict[str, np.ndarray]:
            return {entry.name: rng.standard_normal((rows, *entry.shape[1:]), dtype=np.float32)}

        # submit() copies the rows and returns at once; a request may have any number of rows.
        futures = [model.submit(feed(rows)) for rows in (1, 2, 3)]
        futures[0].add_done_callback(lambda done: print(f"callback: {done}"))
        for future in futures:
            print(future.result()[output.name].shape)

        # as_concurrent() is for what only knows the futures of the standard library.
        waiting = {model.submit(feed(1)).as_concurrent(): index for index in range(8)}
        for ended in concurrent.futures.as_completed(waiting):
            ended.result()

        # map() keeps the order, and takes feeds only as answers are taken.
        count = sum(len(answer[output.name]) for answer in model.map(feed(1) for _ in range(100)))
        print(f"{count} answers in the order of their feeds")


if __name__ == "__main__":
    main()
