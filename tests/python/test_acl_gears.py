"""Every gear of real models through dynbatch.acl answers as plain ONNX Runtime does."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from acl_models import (
    SENTINEL,
    Array,
    Buffers,
    GearModelFile,
    Loaded,
    Sizes,
    checked,
    real_gears,
)
from dynbatch import acl


@pytest.fixture(autouse=True)
def world() -> Iterator[None]:
    checked(acl.init())
    checked(acl.rt.set_device(0))
    yield
    checked(acl.rt.reset_device(0))
    checked(acl.finalize())
    assert acl.native.live_handles() == 0


NAMES = ["ocr_cls", "ocr_det", "magika", pytest.param("ocr_rec", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NAMES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GearModelFile:
    return real_gears(str(request.param), tmp_path_factory.mktemp("gears"))


@pytest.fixture
def loaded(file: GearModelFile) -> Iterator[Loaded]:
    loaded = Loaded(file)
    yield loaded
    loaded.close()


def fill(buffers: Buffers, feeds: dict[str, Array]) -> None:
    for target, array in zip(buffers.arrays[:-1], feeds.values(), strict=True):
        target[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)


def expect_answers(
    loaded: Loaded, inputs: Buffers, outputs: Buffers, expected: list[Array]
) -> None:
    """The answers are there, in the gear's own shape, and no byte behind them has changed."""
    assert loaded.output_dims(inputs.handle) == [array.shape for array in expected]
    for index, array in enumerate(expected):
        told = outputs.arrays[index]
        answer = told[: array.nbytes].view(loaded.output_dtype(index)).reshape(array.shape)
        np.testing.assert_array_equal(answer, array)
        assert (told[array.nbytes :] == SENTINEL).all()


def test_all_gears_answer_in_buffers_of_the_largest(loaded: Loaded) -> None:
    in_sizes, out_sizes = loaded.sizes()
    inputs = Buffers(in_sizes)
    for gear in loaded.file.gears:
        outputs = Buffers(out_sizes)
        feeds = loaded.file.feeds(gear)
        fill(inputs, feeds)
        checked(loaded.set_gear(inputs.handle, gear))
        checked(acl.mdl.execute(loaded.id, inputs.handle, outputs.handle))
        expect_answers(loaded, inputs, outputs, loaded.file.expected(feeds))
        outputs.close()
    inputs.close()


def test_all_gears_answer_in_buffers_of_their_own_size(loaded: Loaded) -> None:
    for gear in loaded.file.gears:
        feeds = loaded.file.feeds(gear)
        expected = loaded.file.expected(feeds)
        inputs = Buffers([*(array.nbytes for array in feeds.values()), 4 * len(gear)])
        outputs = Buffers([array.nbytes for array in expected])
        fill(inputs, feeds)
        checked(loaded.set_gear(inputs.handle, gear))
        checked(acl.mdl.execute(loaded.id, inputs.handle, outputs.handle))
        expect_answers(loaded, inputs, outputs, expected)
        inputs.close()
        outputs.close()


def test_without_a_gear_the_largest_runs(loaded: Loaded) -> None:
    largest = max(loaded.file.gears, key=np.prod)
    in_sizes, out_sizes = loaded.sizes()
    inputs, outputs = Buffers(in_sizes), Buffers(out_sizes)
    feeds = loaded.file.feeds(largest)
    fill(inputs, feeds)
    checked(acl.mdl.execute(loaded.id, inputs.handle, outputs.handle))
    expect_answers(loaded, inputs, outputs, loaded.file.expected(feeds))
    inputs.close()
    outputs.close()


def test_sizes_between_gears_are_refused(loaded: Loaded) -> None:
    in_sizes, _ = loaded.sizes()
    inputs = Buffers(in_sizes)
    off = tuple(size + 5 for size in loaded.file.gears[0])
    assert loaded.set_gear(inputs.handle, off) == 145013
    assert "expected one of the gears" in acl.get_recent_err_msg()
    inputs.close()


def test_eight_threads_use_one_model_id(loaded: Loaded) -> None:
    in_sizes, out_sizes = loaded.sizes()
    cases = [(gear, loaded.file.feeds(gear)) for gear in loaded.file.gears]
    answers = [loaded.file.expected(feeds) for _, feeds in cases]

    def call(thread: int) -> None:
        for turn in range(len(cases)):
            which = (thread + turn) % len(cases)
            gear, feeds = cases[which]
            inputs, outputs = Buffers(in_sizes), Buffers(out_sizes)
            fill(inputs, feeds)
            checked(loaded.set_gear(inputs.handle, gear))
            checked(acl.mdl.execute(loaded.id, inputs.handle, outputs.handle))
            expect_answers(loaded, inputs, outputs, answers[which])
            inputs.close()
            outputs.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(call, thread) for thread in range(8)]:
            done.result()


def test_streams_run_in_order(loaded: Loaded) -> None:
    in_sizes, out_sizes = loaded.sizes()
    stream, code = acl.rt.create_stream()
    checked(code)
    inputs = [Buffers(in_sizes) for _ in loaded.file.gears]
    outputs = [Buffers(out_sizes) for _ in loaded.file.gears]
    expected: list[list[Array]] = []
    gears: list[Sizes] = list(loaded.file.gears)
    for gear, source, target in zip(gears, inputs, outputs, strict=True):
        feeds = loaded.file.feeds(gear)
        fill(source, feeds)
        expected.append(loaded.file.expected(feeds))
        checked(loaded.set_gear(source.handle, gear))
        checked(acl.mdl.execute_async(loaded.id, source.handle, target.handle, stream))
    checked(acl.rt.synchronize_stream(stream))
    for source, target, answers in zip(inputs, outputs, expected, strict=True):
        expect_answers(loaded, source, target, answers)
        source.close()
        target.close()
    checked(acl.rt.destroy_stream(stream))
