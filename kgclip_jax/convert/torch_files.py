"""Files of torch's, read without torch and without running anything: what `torch.save` and
`torch.jit.save` write since torch 1.6.

A file is a zip archive of a pickle and of the bytes of its tensors: the former is read by
`convert.inert_pickle`, the latter when they are asked for. The code of a TorchScript archive, which
OpenAI's files of CLIP are, is never opened.
"""

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from kgclip_jax.convert.inert_pickle import Name, NameRefused, Record, read_pickle
from kgclip_jax.errors import ConversionError

PICKLE = "data.pkl"

_STORAGES = {
    f"torch.{name}Storage": np.dtype(dtype)
    for name, dtype in {
        "Double": np.float64,
        "Float": np.float32,
        "Half": np.float16,
        "BFloat16": jnp.bfloat16,
        "Long": np.int64,
        "Int": np.int32,
        "Short": np.int16,
        "Char": np.int8,
        "Byte": np.uint8,
        "Bool": np.bool_,
    }.items()
}
_TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_PARAMETERS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
}
_ORDERED = "collections.OrderedDict"
# What the state of a training may have beside weights; it stays a record.
_BESIDE = {
    *("torch.Size", "torch.device", "collections.defaultdict", "collections.Counter"),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "dict")),
    *("numpy.dtype", "numpy.ndarray", "_codecs.encode"),
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
    *(f"torch.jit._pickle.build_{kind}list" for kind in ("int", "double", "bool", "tensor")),
    "torch.jit._pickle.restore_type_tag",
}
_ALLOWED = {*_STORAGES, *_TENSORS, *_PARAMETERS, _ORDERED, *_BESIDE}

_MODULE = "__torch__."  # of the classes in TorchScript archives
_DEEPEST, _MOST, _LONGEST = 100, 100_000, 1_000  # modules within modules, weights, letters of one
_COMPRESSED = 2**26  # bytes of a member


class _Storage(NamedTuple):
    """Numbers in a row that tensors are views of."""

    key: str
    dtype: np.dtype
    numbers: int

    @property
    def nbytes(self) -> int:
        return self.numbers * self.dtype.itemsize


class StoredTensor(NamedTuple):
    """Where a tensor lies; offset and strides count numbers."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def open_torch_file(path: Path) -> tuple[Any, Callable[[StoredTensor], np.ndarray]]:
    """Open a file.

    Returns:
        What it holds, with a `StoredTensor` for each tensor: nested dicts, lists and tuples of
        anything. A TorchScript module is a dict of its weights by name, which are those of its
        `state_dict` and tensors that are no parameters or buffers. And a function that reads one
        of the tensors, and raises ConversionError where the file is damaged.

    Raises:
        ConversionError: it is no such file, is damaged, or holds anything but tensors and what
            stands beside them in the state of a training.
    """
    with _reading(path):
        archive = _Archive(path)
        content = archive.content()
        if isinstance(content, Record) and content.name.startswith(_MODULE):
            content = _module_weights(content)

    def read(tensor: StoredTensor) -> np.ndarray:
        with _reading(path):
            storage = tensor.storage
            array = np.frombuffer(archive.read(storage), storage.dtype)[tensor.offset :]
            strides = [step * storage.dtype.itemsize for step in tensor.stride]
            return np.lib.stride_tricks.as_strided(array, tensor.size, strides, writeable=False)

    return content, read


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a file makes its readers raise into a ConversionError that names it."""
    try:
        yield
    except NameRefused as error:
        raise ConversionError(
            f"{path} holds more than weights and is not opened: {error}, which could be any code; "
            "save its state dict alone, best as .safetensors"
        ) from error
    except OSError as error:
        raise ConversionError(f"{path} cannot be read: {error.strerror or error}") from error
    # RuntimeError: of a zip file that asks for a password, or is of an unknown version.
    except (ValueError, EOFError, OverflowError, RuntimeError, zipfile.BadZipFile) as error:
        raise ConversionError(
            f"{path} is damaged, or no file of torch's at all: {error}"
        ) from error


class _Archive:
    """Storages that are members of a zip file."""

    def __init__(self, path: Path) -> None:
        if not zipfile.is_zipfile(path):
            raise ValueError(
                "no archive; one that torch wrote before its version 1.6 is to be saved "
                "again: torch.save(torch.load(FILE, weights_only=True), FILE)"
            )
        self._archive = zipfile.ZipFile(path)
        self._size = path.stat().st_size
        names = self._archive.namelist()
        found = [name for name in names if name.rpartition("/")[2] == PICKLE]
        if len(found) != 1:
            raise ValueError(f"{len(found)} members called {PICKLE} instead of one")
        self._root = found[0].removesuffix(PICKLE)
        if (order := f"{self._root}byteorder") in names and self.member(order) != b"little":
            raise ValueError("numbers that are not stored little-endian")

    def content(self) -> Any:
        """Read the pickle."""
        return read_pickle(
            self.member(f"{self._root}{PICKLE}"),
            allowed=lambda name: name in _ALLOWED or name.startswith(_MODULE),
            make=_made,
            persistent=_storage,
        )

    def member(self, name: str) -> bytes:
        """Read a member; torch compresses code alone, and small files shall not hold large ones."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise ValueError(f"no member {name}") from None
        if info.compress_type != zipfile.ZIP_STORED and info.file_size > _COMPRESSED:
            raise ValueError(f"a member of {info.file_size:,} bytes that is compressed")
        if info.compress_size > self._size:
            raise ValueError(f"{name} would end beyond the end of the file")
        return self._archive.read(info)

    def read(self, storage: _Storage) -> bytes:
        content = self.member(f"{self._root}data/{storage.key}")
        if len(content) != storage.nbytes:
            raise ValueError(f"storage {storage.key} has {len(content)} of {storage.nbytes} bytes")
        return content


def _made(record: Record) -> Any:
    """Return the tensor or dict that a record stands for; other records are left as they are."""
    if record.name in _TENSORS:
        return _tensor(*record.arguments[:4])
    if record.name in _PARAMETERS:
        return record.arguments[0]
    if record.name == _ORDERED and not record.arguments:
        return {}
    return record


def _storage(reference: Any) -> _Storage:
    """Read ("storage", type, key, device, numbers)."""
    match reference:
        case ("storage", Name(name), str(key), str(), int(numbers)) if (
            name in _STORAGES and key.isdigit() and _is_count(numbers)
        ):
            return _Storage(key, _STORAGES[name], numbers)
    raise ValueError("a reference that is to no storage")


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> StoredTensor:
    """Check that a tensor lies within its storage, and shows no number of it twice."""
    whole = isinstance(storage, _Storage) and all(
        isinstance(numbers, tuple) and all(map(_is_count, numbers))
        for numbers in ((offset,), size, stride)
    )
    if not whole or len(size) != len(stride) or len(size) > 8:
        raise ValueError("a tensor without a place")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and not (last < storage.numbers and count <= storage.numbers):
        raise ValueError(f"a tensor of shape {size} beyond its storage of {storage.numbers}")
    return StoredTensor(storage, offset, size, stride)


def _module_weights(root: Record) -> dict[str, StoredTensor]:
    """Return the tensors of a TorchScript module by name: "visual.conv1.weight"."""
    weights: dict[str, StoredTensor] = {}
    pending = [("", root, 0)]
    while pending:
        prefix, module, depth = pending.pop()
        if depth > _DEEPEST or len(prefix) > _LONGEST or len(weights) + len(pending) > _MOST:
            raise ValueError("modules within modules without end")
        for name, value in module.state.items() if isinstance(module.state, dict) else ():
            if isinstance(value, StoredTensor):
                weights[f"{prefix}{name}"] = value
            elif isinstance(value, Record) and value.name.startswith(_MODULE):
                pending.append((f"{prefix}{name}.", value, depth + 1))
    return weights
