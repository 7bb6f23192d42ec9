"""The files that exports consist of; nothing else is ever overwritten by one."""

from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from huggingface_hub import metadata_load

from kgclip_jax.convert import huggingface, huggingface_preprocessing, knowledge
from kgclip_jax.convert.foreign_models import EXTRA_FILE
from kgclip_jax.convert.tokenizer_files import OPEN_CLIP_CONFIG, TOKENIZER_CONFIG, TOKENIZER_JSON
from kgclip_jax.convert.weights import INDEX
from kgclip_jax.errors import UserError

CARD = "README.md"
TAG = "kgclip_jax"
"""Marks the model cards of this package."""

OPENAI_FILE = "model.pt"
STEMS = {"huggingface": "model", "open_clip": "open_clip_model"}
"""Of the files of weights in safetensors, by format: what each library looks for."""

_WEIGHTS = tuple(
    stem + ending
    for stem in STEMS.values()
    for ending in (".safetensors", "-?????-of-?????.safetensors", f".safetensors{INDEX}")
)
_PATTERNS = (
    CARD,
    OPENAI_FILE,
    EXTRA_FILE,
    *_WEIGHTS,
    huggingface.FILE,
    huggingface_preprocessing.FILE,
    OPEN_CLIP_CONFIG,
    TOKENIZER_CONFIG,
    TOKENIZER_JSON,
    "merges.txt",
    "vocab.json",
    knowledge.FILE,
    knowledge.MODULE,
    knowledge.TOKENIZER,
)


def check_free(path: Path, *, replace: bool) -> None:
    """See that an export may be written to `path`, before anything expensive is done for it.

    A folder is replaced only when it is an earlier export: its model card is one of this package,
    and it has nothing in it that exports do not have. A wrong path thus costs nobody a folder.

    Raises:
        UserError: when something is there that may not be replaced.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(f"{path} is a file; name a folder that does not exist")
    entries = sorted(path.iterdir())
    if not entries:
        return
    if not replace:
        raise UserError(f"{path} exists already; choose another folder, or replace it by --force")
    if unexpected := [entry.name for entry in entries if not _is_exported(entry)]:
        more = f" and {len(unexpected) - 3} more" if len(unexpected) > 3 else ""
        raise UserError(
            f"{path} holds what no export has ({', '.join(unexpected[:3])}{more}), so it is not "
            "replaced; choose another folder"
        )
    if not _is_ours(path / CARD):
        raise UserError(
            f"{path} has no {CARD} with the tag {TAG!r}, so it is not replaced; it may be another "
            "library's model. Choose another folder"
        )


def _is_exported(entry: Path) -> bool:
    """Whether exports have a file of this name."""
    return entry.is_file() and any(fnmatchcase(entry.name, pattern) for pattern in _PATTERNS)


def _is_ours(card: Path) -> bool:
    """Whether a file is a model card of this package."""
    try:
        data = metadata_load(card) or {}
    except (OSError, ValueError, yaml.YAMLError):  # no card, or one that the hub cannot read
        return False
    tags = data.get("tags")
    return isinstance(tags, list) and TAG in tags
