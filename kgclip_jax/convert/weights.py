"""Files of weights: safetensors and torch's own; all without torch, and never with code in them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kgclip_jax.convert.names import listing
from kgclip_jax.convert.torch_files import StoredTensor, open_torch_file
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import atomic_file, is_plain_name, read_json_object, write_json, writing

PICKLES = (".pt", ".bin", ".pth")
SUFFIXES = (*PICKLES, ".safetensors")
INDEX = ".index.json"
SHARD_BYTES = 5_000_000_000
WRAPPERS = ("module.", "_orig_mod.")
"""Before all names: of DistributedDataParallel, and of torch.compile."""


def read_weights(path: Path) -> Mapping[str, np.ndarray]:
    """Open a file of weights; those of lower precision are given as float32.

    What torch's wrappers of a whole module put before all names is not in them.

    Args:
        path: a `.safetensors` file; an index of several files (`*.index.json`), which lie beside
            it; or a file of torch's (`.pt`, `.bin`, `.pth`): a state dict, the state of a training
            with one in it, or a TorchScript archive. All are read lazily, and nothing is run.

    Raises:
        ConversionError: for another kind of file, a damaged one, or one that holds more than
            weights; reading a weight raises it too, where its bytes are damaged.
    """
    if path.name.endswith(INDEX):
        return _without_wrappers(_read_shards(path))
    if path.suffix in SUFFIXES:
        return _without_wrappers(_read_file(path))
    raise ConversionError(f"{path} is no file of weights; those end in .safetensors, .pt or .bin")


def _read_file(path: Path) -> "Lazy":
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


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

    `max_bytes` limits each file, which only a single weight may exceed; None for one file.

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
    places = read_json_object(index, ConversionError).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise ConversionError(f"{index} is no index of weights: no file by name in weight_map")
    suffix = Path(index.name.removesuffix(INDEX)).suffix
    for file in places.values():
        if not is_plain_name(file) or Path(file).suffix != suffix or suffix not in SUFFIXES:
            raise ConversionError(
                f"{index}: {file[:200]!r} is no name of a {suffix} file beside it, and no other is "
                "read"
            )
    files = {file: _read_file(index.parent / file) for file in sorted({*places.values()})}
    for file, weights in files.items():
        listed = {name for name, place in places.items() if place == file}
        if wrong := listed ^ weights.keys():
            raise ConversionError(f"{index} is wrong about {file}:\n{listing(wrong)}")
    return Lazy(places, lambda name: files[places[name]][name])


def _read_torch(path: Path) -> Lazy:
    content, read = open_torch_file(path)
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not isinstance(tensors, dict) or not tensors:
        raise ConversionError(f"{path} holds no state dict, that is tensors by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise ConversionError(
                f"{path} holds no state dict, that is tensors by name: at "
                f"{str(name)[:100]!r} stands something else"
            )
    return Lazy(tensors, lambda name: _float32(read(tensors[name])))


def _without_wrappers(weights: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Take from all names what torch's wrappers of a whole module put before them."""
    names = {name: name for name in weights}
    while names and (
        prefix := next((w for w in WRAPPERS if all(name.startswith(w) for name in names)), None)
    ):
        names = {name.removeprefix(prefix): own for name, own in names.items()}
    return Lazy(names, lambda name: weights[names[name]])


def _float32(array: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"
    return array.astype(np.float32, copy=False) if floating else array
