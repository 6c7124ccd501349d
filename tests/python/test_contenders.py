"""Rows of a benchmark in requests of several keep their answers, and recur where they are few."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.load.contenders import Rows

FIVE = Rows(
    Path("model.onnx"),
    feeds=[{"x": np.array([[i]])} for i in range(5)],
    expected=[np.array([[10 * i]]) for i in range(5)],
    output="y",
    position=0,
    tolerance=0.0,
)


def test_groups_hold_rows_in_order_and_their_answers() -> None:
    first, second = FIVE.grouped(2, callers=1).requests()
    assert (first.rows, second.rows) == (2, 2)
    assert first.argument["x"].tolist() == [[0], [1]]
    assert second.argument["x"].tolist() == [[2], [3]]
    assert second.expected.tolist() == [[20], [30]]


def test_rows_recur_where_callers_need_more() -> None:
    requests = FIVE.grouped(3, callers=3).requests()
    assert [request.argument["x"].ravel().tolist() for request in requests] == [
        [0, 1, 2],
        [3, 4, 0],
        [1, 2, 3],
    ]
