"""How a function is called, and what is said of what it returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, rows

Feeds = dict[str, Array]


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


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"max_batch_size": 4}, {1, 2, 3, 4}),
        ({"gears": [2, 4]}, {1, 2, 3, 4}),
        ({"gears": [4], "fill": True}, {4}),
        ({"gears": [2], "fill": True}, {2}),
    ],
)
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_no_call_has_a_size_that_runs_do_not_have(
    options: dict[str, Any], sizes: set[int], count: int
) -> None:
    seen: set[int] = set()

    def function(x: Array) -> Array:
        seen.add(len(x))
        return 2 * x

    x = rows(*range(count))
    with dynbatch.Batcher(function, batching="always", **options) as batcher:
        np.testing.assert_array_equal(batcher.infer(x)["output"], 2 * x)
    assert seen <= sizes


def test_a_first_request_is_not_written_into() -> None:
    def in_place(x: Array) -> Array:
        x += 1
        return x

    with dynbatch.Batcher(in_place) as batcher:
        mine = rows(5)
        np.testing.assert_array_equal(batcher.infer(mine)["output"], rows(6))
        np.testing.assert_array_equal(mine, rows(5))


def fails(x: Array) -> Array:
    return x / len(x[x > 0]) if (x > 0).any() else 1 // 0 * x


def fails_for_a_row(x: Array) -> list[object]:
    return [row if row[0] > 0 else ZeroDivisionError("by zero") for row in x]


@pytest.mark.parametrize("function", [fails, fails_for_a_row])
def test_a_first_request_fails_like_a_later_one(function: Callable[[Array], Any]) -> None:
    with dynbatch.Batcher(function, verify=False) as batcher:
        for _ in range(2):
            for call in (batcher.infer, lambda feeds: batcher.submit(feeds).result()):
                with pytest.raises(dynbatch.ExecutionError, match="ZeroDivisionError") as caught:
                    call(rows(-1))
                assert isinstance(caught.value.__cause__, ZeroDivisionError)
            batcher.infer(rows(1))


def two(dtype: Any = np.float32, shape: Any = (4,)) -> dict[str, dynbatch.Output]:
    return {"a": dynbatch.Output(dtype, shape), "b": dynbatch.Output(dtype, shape)}


WRONG: list[tuple[Callable[[Array], Any], Mapping[str, dynbatch.Output] | None, str]] = [
    (lambda x: (x, x), two(shape=(3,)), r"'a' of the function: expected .*\[3\].*, got .*\[4\]"),
    (lambda x: (x, x), two(shape=(4, None)), r"'a' of the function: expected .*\[4, -1\]"),
    (lambda x: (x, x), two(dtype=np.float64), "'a' of the function: expected float64.*got float32"),
    (lambda x: (x, x[:0]), two(), "'output_1' of the function: expected 1 rows"),
    (lambda x: x, two(), r"outputs of the function: expected 2 \(a, b\), got 1"),
    (lambda x: {"a": x}, two(), "the function returned no output 'b': got 'a'"),
    (lambda x: {0: x}, None, "outputs of the function: expected str as keys, got 0"),
]


@pytest.mark.parametrize(("function", "outputs", "message"), WRONG)
def test_wrong_outputs_are_told_at_once(
    function: Callable[[Array], Any], outputs: Mapping[str, dynbatch.Output] | None, message: str
) -> None:
    before = set(threading.enumerate())
    with pytest.raises(dynbatch.ModelError, match=message):
        dynbatch.Batcher(function, example=rows(1), outputs=outputs)
    assert set(threading.enumerate()) <= before


def test_declared_outputs_are_taken_by_name_or_by_place() -> None:
    def named(x: Array) -> Feeds:
        return {"b": -x, "more": x, "a": x}

    for function in (named, lambda x: (x, -x)):
        with dynbatch.Batcher(function, example=rows(1), outputs=two()) as batcher:
            answer = batcher.infer(rows(3))
            assert list(answer) == ["a", "b"]
            np.testing.assert_array_equal(answer["b"], rows(-3))


def test_an_output_that_is_missing_later_is_named() -> None:
    names = ["a"]
    with dynbatch.Batcher(lambda x: {names[0]: x}, example=rows(1)) as batcher:
        names[0] = "b"
        with pytest.raises(dynbatch.ExecutionError, match="no output 'a': got 'b'"):
            batcher.infer(rows(1))
