"""How a function is called, and what is said of what it returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, rows


def difference(p: Array, q: Array) -> Array:
    return p - q


def test_inputs_are_passed_in_the_declared_order() -> None:
    both = {"a": dynbatch.Input(), "b": dynbatch.Input()}
    with dynbatch.Batcher(difference, inputs=both) as batcher:
        answer = batcher.infer({"b": rows(1), "a": rows(3)})
        np.testing.assert_array_equal(answer["output"], rows(2))


def test_an_example_has_the_declared_order() -> None:
    both = {"a": dynbatch.Input(), "b": dynbatch.Input()}
    with dynbatch.Batcher(difference, inputs=both, example={"b": rows(1), "a": rows(3)}) as batcher:
        answer = batcher.infer({"b": rows(1), "a": rows(3)})
        np.testing.assert_array_equal(answer["output"], rows(2))


def test_the_order_of_a_first_request_is_no_order() -> None:
    with dynbatch.Batcher(difference) as batcher:
        with pytest.raises(dynbatch.InvalidArgument, match=r"a, b are no parameters.*give inputs="):
            batcher.infer({"a": rows(3), "b": rows(1)})
        answer = batcher.infer({"q": rows(1), "p": rows(3)})
        np.testing.assert_array_equal(answer["output"], rows(2))


def test_names_of_inputs_are_strings() -> None:
    feeds: Any = {1: rows(1)}
    with dynbatch.Batcher(lambda x: x) as batcher:
        for _ in range(2):
            with pytest.raises(dynbatch.InvalidInput, match=r"(keys|'x' is missing.*), got 1"):
                batcher.infer(feeds)
            batcher.infer(rows(1))
