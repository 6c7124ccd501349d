"""Any Python function: its inputs and outputs, and the decorator."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dynbatch
from gate import Array, rows


def test_inputs_are_learnt_from_the_first_request() -> None:
    with dynbatch.Batcher(lambda x: x.sum(axis=1)) as batcher:
        assert "not called yet" in repr(batcher)
        with pytest.raises(dynbatch.Error, match="has not been called yet"):
            batcher.stats()
        np.testing.assert_array_equal(batcher.infer(rows(1, 2))["output"], [4, 8])
        with pytest.raises(dynbatch.InvalidInput, match=r"'x': expected dtype float32, got int64"):
            batcher.infer(np.ones((1, 4), dtype=np.int64))
        assert "ready" in repr(batcher)


def test_the_first_request_may_come_from_a_coroutine() -> None:
    import asyncio

    with dynbatch.Batcher(lambda x: x + 1) as batcher:
        answer = asyncio.run(batcher.infer_async(rows(1)))
        np.testing.assert_array_equal(answer["output"], rows(2))


def test_many_first_requests_build_once() -> None:
    builds: set[str] = set()

    def function(x: Array) -> Array:
        builds.add(threading.current_thread().name)
        return -x

    with dynbatch.Batcher(function) as batcher:
        answers: list[float] = []
        threads = [
            threading.Thread(
                target=lambda i=i: answers.append(float(batcher.infer(rows(i))["output"][0, 0]))
            )
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == sorted(-float(i) for i in range(8))
    # Never on a caller's thread, not even to find out about the function.
    assert builds == {"dynbatch-worker-0"}


def test_declared_inputs_need_no_example() -> None:
    with dynbatch.Batcher(
        lambda ids, scale: ids * scale,
        inputs={
            "ids": dynbatch.Input(dtype=np.int64, shape=(3,)),
            "scale": dynbatch.Input(shared=True, dtype=np.int64, shape=()),
        },
    ) as batcher:
        answer = batcher.infer({"ids": [[1, 2, 3]], "scale": np.int64(2)})
        np.testing.assert_array_equal(answer["output"], [[2, 4, 6]])


def test_declared_outputs_may_have_unknown_dimensions() -> None:
    def spread(x: Array) -> Array:
        return np.repeat(x, int(x.max()), axis=1)

    with dynbatch.Batcher(
        spread,
        example=rows(1),
        outputs={"y": dynbatch.Output(np.float32, (None,))},
        batching="off",
        verify=False,
    ) as batcher:
        assert batcher.infer(rows(1))["y"].shape == (1, 4)
        assert batcher.infer(rows(3))["y"].shape == (1, 12)


def as_array(a: Array, b: Array) -> Any:
    return a + b


def as_tuple(a: Array, b: Array) -> Any:
    return a + b, a - b


def as_dict(a: Array, b: Array) -> Any:
    return {"sum": a + b, "difference": a - b}


def as_rows(a: Array, b: Array) -> Any:
    return [x + y for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (as_array, ["output"]),
        (as_rows, ["output"]),
        (as_tuple, ["output_0", "output_1"]),
        (as_dict, ["sum", "difference"]),
    ],
)
def test_functions_return_what_they_like(function: Callable[..., Any], names: list[str]) -> None:
    example = {"a": rows(1), "b": rows(2)}
    with dynbatch.Batcher(function, example=example) as batcher:
        answer = batcher.infer({"b": rows(3), "a": rows(10)})
        assert list(answer) == names
        np.testing.assert_array_equal(answer[names[0]], rows(13))


def test_plain_numbers_are_rows_too() -> None:
    with dynbatch.Batcher(lambda x: [float(v) * 2 for v in x], example=np.ones(2)) as batcher:
        answer = batcher.infer(np.array([1.0, 2.0, 3.0]))["output"]
        np.testing.assert_array_equal(answer, [2, 4, 6])
        assert answer.dtype == np.float64


def test_inputs_by_position_where_names_do_not_fit() -> None:
    with dynbatch.Batcher(np.maximum, example={"one": rows(1), "two": rows(2)}) as batcher:
        answer = batcher.infer({"one": rows(5), "two": rows(4)})["output"]
        np.testing.assert_array_equal(answer, rows(5))


def test_several_workers_run_at_once() -> None:
    meet = threading.Barrier(2)
    armed: list[bool] = []

    def function(x: Array) -> Array:
        if armed:
            meet.wait()
        return x

    with dynbatch.Batcher(function, example=rows(1), workers=2, batching="off") as batcher:
        armed.append(True)
        futures = [batcher.submit(rows(1)) for _ in range(2)]
        for future in futures:
            future.result()
        assert batcher.stats().workers == 2
        assert batcher.stats().python_threads == 2


def test_runs_never_happen_on_callers() -> None:
    names: set[str] = set()

    def function(x: Array) -> Array:
        names.add(threading.current_thread().name)
        return x

    with dynbatch.Batcher(function, example=rows(1)) as batcher:
        for _ in range(5):
            batcher.infer(rows(1))
    assert names == {"dynbatch-worker-0"}
    assert batcher.stats().runs_on_callers == 0


def test_the_function_may_write_into_its_inputs() -> None:
    def in_place(x: Array) -> Array:
        x += 1
        return x

    with dynbatch.Batcher(in_place, example=rows(1), batching="always") as batcher:
        mine = rows(5)
        np.testing.assert_array_equal(batcher.infer(mine)["output"], rows(6))
        np.testing.assert_array_equal(mine, rows(5))


def test_decorated_functions_are_called_as_before() -> None:
    @dynbatch.batched(max_batch_size=4)
    def both(a: Array, b: Array) -> tuple[Array, Array]:
        """Adds and subtracts."""
        return a + b, a - b

    with both:
        total, difference = both(rows(3), b=rows(1))
        np.testing.assert_array_equal(total, rows(4))
        np.testing.assert_array_equal(difference, rows(2))
        assert both.__name__ == "both"  # type: ignore[attr-defined]
        assert both.__doc__ == "Adds and subtracts."
        future = both.batcher.submit({"a": rows(1), "b": rows(1)})
        np.testing.assert_array_equal(future.result()["output_0"], rows(2))
    assert both.batcher.closed


def test_the_decorator_needs_no_options() -> None:
    @dynbatch.batched
    def double(x: Array) -> Array:
        return 2 * x

    answers: list[float] = []
    threads = [
        threading.Thread(target=lambda i=i: answers.append(float(double(rows(i))[0, 0])))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    double.close()
    assert sorted(answers) == [2.0 * i for i in range(8)]


def test_decorated_dicts_stay_dicts() -> None:
    @dynbatch.batched(example=rows(1))
    def named(x: Array) -> dict[str, Array]:
        return {"twice": 2 * x}

    with named:
        assert list(named(rows(1))) == ["twice"]


def test_every_element_type_passes() -> None:
    import ml_dtypes

    kinds = [*"?bBhHiIlLqQefd", ml_dtypes.bfloat16]
    for kind in kinds:
        example = np.ones((2, 3)).astype(kind)
        with dynbatch.Batcher(lambda x: x, example=example, max_batch_size=2) as batcher:
            answer = batcher.infer(example)["output"]
            assert answer.dtype == example.dtype
            np.testing.assert_array_equal(answer.astype(float), example.astype(float))


@pytest.mark.parametrize("kind", ["i2", "i8", "f2", "f4", "f8"])
def test_answers_in_a_foreign_byte_order_are_read_right(kind: str) -> None:
    foreign = np.dtype(kind).newbyteorder()
    current = [foreign]
    with dynbatch.Batcher(lambda x: x.astype(current[0]), example=rows(1, 2)) as batcher:
        for dtype in (foreign, foreign.newbyteorder()):
            current[0] = dtype
            answer = batcher.infer(rows(3))["output"]
            np.testing.assert_array_equal(answer, rows(3))
            assert answer.dtype.isnative


async def coroutine_function(x: Array) -> Array:
    return x


# Types forbid what these pass.
Batcher: Any = dynbatch.Batcher
Input: Any = dynbatch.Input
Output: Any = dynbatch.Output

WRONG_ARGUMENTS: list[tuple[Callable[[], object], str]] = [
    (lambda: Batcher(5), "function: expected a callable, got 5"),
    (lambda: Batcher(abs, inputs=["x"]), "inputs: expected a mapping to dynbatch.Input, got ['x']"),
    (
        lambda: Batcher(abs, inputs={"x": np.float32}),
        "inputs['x']: expected dynbatch.Input, got <class 'numpy.float32'>",
    ),
    (
        lambda: Batcher(abs, outputs={"y": np.float32}),
        "outputs['y']: expected dynbatch.Output, got <class 'numpy.float32'>",
    ),
    (lambda: Batcher(abs, workers=0), "workers: expected an int of at least 1, got 0"),
    (lambda: Batcher(abs, workers=False), "workers: expected an int of at least 1, got False"),
    (lambda: Input(shape=4), "shape: expected a tuple of ints of at least 0, got 4"),
    (lambda: Input(shape=(None,)), "shape: expected a tuple of ints of at least 0, got (None,)"),
    (lambda: Input(shared="no"), "shared: expected True, False or None, got 'no'"),
    (lambda: Input(dtype="bogus"), "dtype: expected a NumPy dtype, got 'bogus'"),
    (lambda: Output("bogus", (4,)), "dtype: expected a NumPy dtype, got 'bogus'"),
    (lambda: Output("f4", 4), "shape: expected a tuple of ints of at least 0, or None, got 4"),
    (lambda: Output("f4", (-1,)), "shape: expected a tuple of ints of at least 0, or None, got"),
    (
        lambda: Batcher(abs).map([], look_ahead="a"),
        "look_ahead: expected an int of at least 1, got 'a'",
    ),
    (lambda: Batcher(abs).map([], look_ahead=0), "look_ahead: expected an int of at least 1"),
]


@pytest.mark.parametrize(
    ("make", "message"), WRONG_ARGUMENTS, ids=[message for _, message in WRONG_ARGUMENTS]
)
def test_wrong_arguments_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        make()


WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: dynbatch.Batcher(coroutine_function), dynbatch.InvalidArgument, "coroutine function"),
    (lambda: dynbatch.batched(lambda *x: x), dynbatch.InvalidArgument, r"\*x cannot be an input"),
    (
        lambda: dynbatch.Batcher(lambda x: x, example=np.ones((0, 4))),
        dynbatch.InvalidInput,
        r"'x': expected an example of at least one row, got the shape \(0, 4\)",
    ),
    (
        lambda: dynbatch.Batcher(lambda x: x, example=np.array(["a"])),
        dynbatch.ModelError,
        "'x': expected a number type, got str",
    ),
    (
        lambda: dynbatch.Batcher(lambda x: x.sum(), example=np.ones((2, 4))),
        dynbatch.ModelError,
        r"output 'output' of the function: expected 2 rows",
    ),
    (
        lambda: dynbatch.Batcher(lambda a, b: a, example={"a": np.ones(2), "b": np.ones(3)}),
        dynbatch.InvalidInput,
        "same number of rows, got 'a': 2, 'b': 3",
    ),
    (
        lambda: dynbatch.Batcher(
            lambda x: x, example=rows(1), inputs={"x": dynbatch.Input(dtype=np.int32)}
        ),
        dynbatch.InvalidInput,
        "'x': expected int32, got float32",
    ),
    (
        lambda: dynbatch.Batcher(lambda x: x, inputs={"x": dynbatch.Input(shape=(3,))}),
        dynbatch.InvalidArgument,
        r"inputs\['x'\]: without an example both dtype and shape are needed",
    ),
    (
        lambda: dynbatch.Batcher(lambda x: 1 / 0, example=rows(1)),
        dynbatch.ExecutionError,
        "ZeroDivisionError: division by zero",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_what_cannot_be_batched_is_named(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    before = set(threading.enumerate())
    with pytest.raises(error, match=message):
        make()
    assert set(threading.enumerate()) <= before
