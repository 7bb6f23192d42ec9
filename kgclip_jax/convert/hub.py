"""Models on the Hugging Face hub: only what is needed of them is downloaded.

They are called "organisation/model" or "organisation/model@REVISION", a branch, tag or commit. A
branch moves, so that what is written down of a model has the commit.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from kgclip_jax.errors import ConversionError

SETTINGS = ("*.json", "*.txt", "*.model")
"""Patterns of descriptions and tokenizers."""


_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_hub_id(source: str) -> bool:
    """Whether a source has the form "organisation/model", with or without a revision."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w-][\w./-]*)?", source) is not None


def with_commit(name: str, known: str) -> str:
    """Return the name by which the same weights are opened again, whatever happens on the hub.

    Args:
        name: of any model, as someone has written it.
        known: the name of a model that was opened.

    Returns:
        `known` if it is a commit of the repository of `name`, which names none; else `name`.
    """
    (repository, _, revision), (other, _, commit) = name.partition("@"), known.partition("@")
    moves = repository == other and _COMMIT.fullmatch(commit) and not _COMMIT.fullmatch(revision)
    return known if moves else name


def download(name: str, patterns: Sequence[str]) -> tuple[Path, str]:
    """Return the local copy of a repository, with the files of these patterns in it.

    Returns:
        The folder, and the name with the commit that it holds.

    Raises:
        ConversionError: when the hub cannot be reached, or has no such repository or revision.
    """
    repository, _, revision = name.partition("@")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ConversionError(
            f"{name} is on the Hugging Face hub: pip install huggingface_hub, or download it"
        ) from error
    try:
        folder = Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns))
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ConversionError(
            f"no folder {name} is here, and it cannot be had from the Hugging Face hub: {error}"
        ) from error
    # The cache has a folder for each commit.
    return folder, f"{repository}@{folder.name}" if _COMMIT.fullmatch(folder.name) else name
