"""Files of weights: safetensors without torch; pickles with torch, and never with code in them."""

import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kgclip_jax.convert.names import listing
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import atomic_file, read_json, write_json, writing

PICKLES = (".pt", ".bin", ".pth")
SUFFIXES = (*PICKLES, ".safetensors")
INDEX = ".index.json"
SHARD_BYTES = 5_000_000_000


def read_weights(path: Path) -> Mapping[str, np.ndarray]:
    """Open a file of weights; those of lower precision are given as float32.

    Args:
        path: a `.safetensors` file, read lazily; an index of several files (`*.index.json`); or a
            pickle (`.pt`, `.bin`, `.pth`), also in TorchScript form, which needs torch.

    Raises:
        ConversionError: for another kind of file, a damaged one, or a pickle that holds more than
            weights.
    """
    if path.name.endswith(INDEX):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in PICKLES:
        return _read_pickle(path)
    raise ConversionError(f"{path} is no file of weights; those end in .safetensors, .pt or .bin")


def write_safetensors(
    folder: Path,
    weights: Mapping[str, np.ndarray],
    stem: str,
    *,
    max_bytes: int | None = SHARD_BYTES,
) -> list[Path]:
    """Write weights as `STEM.safetensors`, or where they are large in parts with an index.

    Parts are named as transformers does: `STEM-00001-of-00003.safetensors`, and
    `STEM.safetensors.index.json` says which weight is in which.

    Args:
        folder: exists.
        weights: arrays by name.
        stem: such as "model".
        max_bytes: of one file, which only a single weight may exceed; None for one file.

    Returns:
        The files written. Raises UserError when the disk refuses.
    """
    shards = _shards(weights, max_bytes)
    if len(shards) == 1:
        path = folder / f"{stem}.safetensors"
        _save(path, weights)
        return [path]
    places: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"{stem}-{number:05}-of-{len(shards):05}.safetensors"
        _save(folder / file, {name: weights[name] for name in names})
        places |= dict.fromkeys(names, file)
    index = folder / f"{stem}.safetensors{INDEX}"
    total = sum(array.nbytes for array in weights.values())
    write_json(index, {"metadata": {"total_size": total}, "weight_map": places})
    return [*(folder / file for file in dict.fromkeys(places.values())), index]


def _shards(weights: Mapping[str, np.ndarray], max_bytes: int | None) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    size = 0
    for name, array in weights.items():
        if shards[-1] and max_bytes is not None and size + array.nbytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += array.nbytes
    return shards


def _save(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    # safetensors writes the memory of an array, whatever its strides.
    contiguous = {name: np.asarray(array, order="C") for name, array in weights.items()}
    with atomic_file(path) as temporary, writing(path, SafetensorError):  # so it calls a full disk
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(contiguous, temporary, metadata={"format": "pt"})  # transformers asks for it
        temporary.chmod(mode)  # safetensors lets nobody else read its files


class Lazy(Mapping[str, np.ndarray]):
    """Arrays by name, each read when it is asked for."""

    def __init__(self, names: Iterable[str], read: Callable[[str], np.ndarray]) -> None:
        self._names = dict.fromkeys(names)
        self._read = read

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _read_safetensors(path: Path) -> Lazy:
    try:
        file = safe_open(path, framework="numpy")
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"{path} is no complete safetensors file: {error}") from error
    return Lazy(file.keys(), lambda name: _float32(file.get_tensor(name)))


def _read_shards(index: Path) -> Lazy:
    try:
        places: dict[str, str] = read_json(index, ConversionError)["weight_map"]
        files = {file: read_weights(index.parent / file) for file in sorted(set(places.values()))}
    except (KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"{index} is no index of weights: {error!r}") from error
    for file, weights in files.items():
        listed = {name for name, place in places.items() if place == file}
        if wrong := listed ^ weights.keys():
            raise ConversionError(f"{index} is wrong about {file}:\n{listing(wrong)}")
    return Lazy(places, lambda name: files[places[name]][name])


def _read_pickle(path: Path) -> Lazy:
    try:
        import torch
    except ImportError as error:
        raise ConversionError(
            f"{path} is a pickle, which only torch reads: pip install torch, or take a "
            ".safetensors file"
        ) from error
    try:
        if _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "`torch.jit.load` is")
                loaded = torch.jit.load(path, map_location="cpu").state_dict()
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise ConversionError(f"{path} is damaged, or no file of torch's at all") from error
        raise ConversionError(
            f"{path} holds more than weights and is not opened, since it could run any code; "
            "save its state dict alone, best as .safetensors"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ConversionError(f"{path} cannot be read: {error}") from error
    tensors = _state_dict(loaded)
    if not tensors or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise ConversionError(f"{path} holds no state dict, that is tensors by name")

    def read(name: str) -> np.ndarray:
        tensor = tensors[name].detach()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()

    return Lazy(tensors, read)


def _is_pickle(path: Path) -> bool:
    """Whether a file is a whole pickle, or torch's archive around one; nothing in it is run."""
    if zipfile.is_zipfile(path):
        return True
    try:
        with path.open("rb") as file:
            return all(True for _ in pickletools.genops(file))
    except ValueError:
        return False


def _is_torchscript(path: Path) -> bool:
    """Whether a file is a program with weights, as OpenAI published CLIP."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).name == "constants.pkl" for name in archive.namelist())


def _state_dict(loaded: Any) -> dict[str, Any]:
    """Take the weights out of the checkpoint of a training run, as open_clip writes it."""
    if not isinstance(loaded, Mapping):
        return {}
    tensors = loaded.get("state_dict", loaded)
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _float32(array: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"
    return array.astype(np.float32, copy=False) if floating else array
