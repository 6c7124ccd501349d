"""A model that `dynbatch.acl` runs, as a program in the published call sequence does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.gears.models import Gear
from dynbatch import acl

Array = np.ndarray[Any, Any]


class AclModel:
    """One input and one output, in arrays that stay; `acl.init` has been called."""

    def __init__(self, path: Path, gear: Gear, x: Array, y: Array) -> None:
        """`gear` is any of them: it tells their kind."""
        shape = np.zeros(len(gear), np.int32)
        self._arrays = (x, shape, y)  # whose addresses alone are in the datasets
        self._id = _checked(acl.mdl.load_from_file(str(path)))
        self._source, self._target = _dataset([x, shape]), _dataset([y])
        self._set = (
            acl.mdl.set_dynamic_batch_size if len(gear) == 1 else acl.mdl.set_dynamic_hw_size
        )

    def set_and_execute(self, gear: Gear) -> None:
        code = self._set(self._id, self._source, 1, *gear)
        if code == 0:
            code = acl.mdl.execute(self._id, self._source, self._target)
        if code != 0:
            raise RuntimeError(acl.get_recent_err_msg())

    def close(self) -> None:
        for dataset in (self._source, self._target):
            for i in range(acl.mdl.get_dataset_num_buffers(dataset)):
                acl.destroy_data_buffer(acl.mdl.get_dataset_buffer(dataset, i))
            acl.mdl.destroy_dataset(dataset)
        acl.mdl.unload(self._id)


@contextmanager
def acl_model(path: Path, gear: Gear, x: Array, y: Array) -> Iterator[AclModel]:
    """From `acl.init` to `acl.finalize`."""
    acl.init()
    try:
        model = AclModel(path, gear, x, y)
        yield model
        model.close()
    finally:
        acl.finalize()


def _dataset(arrays: Sequence[Array]) -> Any:
    dataset = acl.mdl.create_dataset()
    for array in arrays:
        buffer = acl.create_data_buffer(acl.util.numpy_to_ptr(array), array.nbytes)
        _checked(acl.mdl.add_dataset_buffer(dataset, buffer))
    return dataset


def _checked(answer: tuple[Any, int]) -> Any:
    value, code = answer
    if code != 0:
        raise RuntimeError(acl.get_recent_err_msg())
    return value
