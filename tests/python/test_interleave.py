"""Contenders of a benchmark take turns, and one that fails is named."""

from __future__ import annotations

import pytest

from bench.load.closed_loop import Block, WrongAnswerError
from bench.load.contenders import Contender
from bench.load.interleave import Aim, ContenderError, Scenario, measure

BLOCK = Block(1.0, 1.0, 1.0, 1.0, 0.0, calls=1, checked=1)


def scenario(*contenders: Contender) -> Scenario:
    return Scenario("question", "A question", contenders, baselines=[contenders[0].name])


def test_order_of_contenders_rotates() -> None:
    order: list[str] = []

    def contender(name: str) -> Contender:
        def block(seconds: float) -> Block:
            order.append(name)
            return BLOCK

        return Contender(name, 1, block)

    measure(scenario(*map(contender, "abc")), 3, 0.0, lambda _: None)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"


def test_a_contender_that_answers_wrongly_is_named() -> None:
    def block(seconds: float) -> Block:
        raise WrongAnswerError("differs by 1")

    with pytest.raises(ContenderError, match="question: wrong one: differs by 1") as raised:
        measure(scenario(Contender("wrong one", 1, block)), 1, 0.0, lambda _: None)
    assert isinstance(raised.value.__cause__, WrongAnswerError)


def test_an_aim_over_nobody_is_refused() -> None:
    one = Contender("one", 1, lambda seconds: BLOCK)
    asked = Scenario("question", "", [one], [], aims=[Aim("one", ["nobody"], asked=1)])
    with pytest.raises(ValueError, match="question: no contender is named nobody"):
        measure(asked, 1, 0.0, lambda _: None)
