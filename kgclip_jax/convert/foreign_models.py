"""Where foreign models lie: folders with descriptions and weights, here or on the hub."""

import logging
from pathlib import Path
from typing import NamedTuple

from kgclip_jax import schema
from kgclip_jax.convert import huggingface, huggingface_preprocessing
from kgclip_jax.convert.families import (
    DESCRIPTIONS,
    FAMILIES,
    UNKNOWN_TYPES,
    WEIGHT_FILES,
    WeightFiles,
)
from kgclip_jax.convert.family import Family, Files, Format
from kgclip_jax.convert.foreign_config import reading
from kgclip_jax.convert.hub import SETTINGS, download, is_hub_id
from kgclip_jax.convert.weights import INDEX, SUFFIXES
from kgclip_jax.errors import ConversionError
from kgclip_jax.files import expanded, read_json_object
from kgclip_jax.models import spec

EXTRA_FILE = "kgclip_jax_extra.safetensors"
"""Beside an exported model: parameters that its format cannot hold, by path.

Those of a knowledge encoder are there as well, by torch's names, see `convert.knowledge`.
"""

RUNS = "runs/"  # where launch/train.py puts a run that is given no workdir
LOCAL, HUB = "local-dir:", "hf-hub:"
PREFERRED: dict[str, Format] = {"": "huggingface", LOCAL: "open_clip", HUB: "open_clip"}
"""open_clip's prefixes of names, and whose files are then read where there are several."""

_logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """A model in a folder."""

    family: Family
    files: Files
    weights: Path


class Located(NamedTuple):
    """Where a model lies.

    Attributes:
        path: a file or folder.
        preferred: whose files of a folder are read.
        name: as given; but of a model on the hub that of its commit.
    """

    path: Path
    preferred: Format
    name: str


def descriptions(folder: Path) -> Files:
    """Read those JSON files of a folder that describe a model.

    Raises:
        ConversionError: for a file that holds no JSON object.
    """
    paths = [folder / name for name in DESCRIPTIONS]
    return {path.name: read_json_object(path, ConversionError) for path in paths if path.is_file()}


def describe(family: Family, files: Files, place: Path) -> spec.DualEncoder:
    """Return the architecture that files describe; preprocessing by default is logged.

    `place` is the folder of the files, for messages, or the file that describes itself.

    Raises:
        ConversionError: for settings that cannot be had here, and numbers out of range; it names
            the file.
    """
    try:
        shape = family.describe(files)
    except ConversionError as error:  # it begins with the name of a file
        raise ConversionError(f"{place}{': ' if place.is_file() else '/'}{error}") from error
    with reading(str(place)):
        shape = schema.parse(spec.DualEncoder, schema.to_dict(shape), "model")
    if family.format == "huggingface" and not huggingface_preprocessing.stored(files)[1]:
        vision = shape.vision
        _logger.warning(
            "%s has no %s; as transformers does, pictures are prepared by default: "
            "resize %s, %s, mean %s, std %s",
            place,
            huggingface_preprocessing.FILE,
            *(vision.resize, vision.interpolation, vision.mean, vision.std),
        )
    return shape


def why_undescribed(files: Files) -> str:
    """Say why the descriptions in a folder are not those of the weights that lie there."""
    if any(family.recognises(files) for family in FAMILIES):
        return "the description beside it is of other weights"
    if model_type := huggingface.model_type(files):
        known = UNKNOWN_TYPES.get(model_type, "known here are clip and siglip")
        return f"its {huggingface.FILE} has the model_type {model_type!r} ({known})"
    return "it has no config.json of CLIP or SigLIP and no open_clip_config.json"


def find(folder: Path, preferred: Format) -> Found | None:
    """Return the model that a folder describes, or None where it describes none.

    Of several, one in safetensors comes before one in a pickle, then the preferred format first.

    Raises:
        ConversionError: for a description without weights, or of a model that is not known here.
    """
    files = descriptions(folder)
    choices = _choices(files, preferred)
    for family, name in choices:
        if (folder / name).is_file():
            return Found(family, files, folder / name)
    if choices:
        family, name = choices[0]
        raise ConversionError(f"{folder} describes a {family.name}, but has no {name}")
    model_type = huggingface.model_type(files)
    if model_type in UNKNOWN_TYPES:
        raise ConversionError(f"{folder}: {UNKNOWN_TYPES[model_type]}")
    return None


def locate(name: str) -> Located:
    """Find the file or folder of a name, on the hub if need be, and say whose files to prefer.

    What looks like a path is not looked up on the hub: "a/b/c", "./a", "~/a", "runs/a", a file of
    weights, or what would lie in a folder that is here.

    Raises:
        ConversionError: it is not there; or the hub cannot be reached or has no such repository.
        ConfigError: it is a path of no file system here.
    """
    prefix = next((prefix for prefix in (LOCAL, HUB) if name.startswith(prefix)), "")
    bare, preferred = name.removeprefix(prefix), PREFERRED[prefix]
    path = Path(expanded(bare))
    if path.exists():
        return Located(path, preferred, name)
    if not prefix and bare.startswith(RUNS):
        raise ConversionError(f"{name} is not there; train it first: {_training(bare)}")
    if path.suffix in SUFFIXES or not is_hub_id(bare) or prefix == LOCAL:
        raise ConversionError(f"{name} is not there: no such file or folder")
    if not prefix and path.parent.is_dir():
        raise ConversionError(
            f"{name} is not there: {path.parent} is a folder without {path.name}; for the one on "
            f"the Hugging Face hub write {HUB}{name}"
        )
    folder, found = _fetch(bare, preferred)
    return Located(folder, preferred, f"{prefix}{found}")


def _training(workdir: str) -> str:
    """The command that makes a run, whose folder is called after its config if it is not named."""
    stem, _, argument = workdir.removeprefix(RUNS).partition("-")
    config = Path("configs", f"{stem}.py")
    if not config.is_file():
        return f"python launch/train.py --config=CONFIG --workdir={workdir}"
    return f"python launch/train.py --config={':'.join(filter(None, [str(config), argument]))}"


def _fetch(name: str, preferred: Format) -> tuple[Path, str]:
    """Return a folder with the model of a repository on the hub, and its name with the commit.

    Its descriptions come first and say what to look for. Pickles are fetched only where there is
    nothing else.

    Raises:
        ConversionError: when the hub cannot be reached or has no such repository.
    """
    folder, name = download(name, SETTINGS)
    choices = _choices(descriptions(folder), preferred)
    for _, file in choices:
        download(name, [EXTRA_FILE, file, *_shards(file)])
        if (folder / file).is_file():
            return folder, name
    if choices:
        files = ", ".join(dict.fromkeys(file for _, file in choices))
        raise ConversionError(
            f"no folder {name} is here, and none of its files of weights can be had from the "
            f"Hugging Face hub: {files}"
        )
    return folder, name


def _choices(files: Files, preferred: Format) -> list[tuple[Family, str]]:
    """The families that files describe, and where their weights may be, in order of preference."""
    families = [family for family in FAMILIES if family.recognises(files)]
    families.sort(key=lambda family: family.format != preferred)
    return [
        (family, name)
        for kind in range(len(WeightFiles._fields))  # all safetensors before all pickles
        for family in families
        for name in WEIGHT_FILES[family.format][kind]
    ]


def _shards(name: str) -> list[str]:
    """The pattern of the files that an index speaks of, by its name."""
    stem, _, suffix = name.removesuffix(INDEX).rpartition(".")
    return [f"{stem}-*.{suffix}"] if name.endswith(INDEX) else []
