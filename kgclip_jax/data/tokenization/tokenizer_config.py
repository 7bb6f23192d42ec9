"""Settings of the tokenizer: which vocabulary, and what is done to a text before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Int32

from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.json_tokenizer import Clean, JsonTokenizer
from kgclip_jax.ranges import NonNegativeInt
from kgclip_jax.schema import LocalPath, check


@runtime_checkable
class Tokenizer(Protocol):
    """Turns texts into rows of token ids of one length. It pickles cheaply."""

    @property
    def context_length(self) -> int:
        """Tokens in a row."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Ids lie below it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of vocabulary and rules; equal fingerprints give equal ids."""
        ...

    @property
    def end_id(self) -> int | None:
        """The token that ends every text, or None where texts need not have one."""
        ...

    def __call__(self, texts: Sequence[str]) -> Int32[np.ndarray, "texts n"]:
        """Return the token ids of each text, cut or padded to `context_length`."""
        ...

    def lengths(self, tokens: Int[np.ndarray, "texts n"]) -> Int[np.ndarray, " texts"]:
        """Return how many tokens of each row matter to a causal tower."""
        ...


@dataclass(frozen=True)
class ClipBpe:
    """CLIP's own byte pairs, with open_clip's cleaning; end of text 49407, padding 0.

    Attributes:
        kind: tells this tokenizer apart from the others.
    """

    kind: Literal["clip"] = "clip"


@dataclass(frozen=True)
class TokenizerJson:
    """A tokenizer of any other model, as a file.

    Attributes:
        kind: tells this tokenizer apart from the others.
        file: a Hugging Face `tokenizer.json`, or a SentencePiece unigram model (`*.model`).
        pad_id: token that fills up short texts (SigLIP 1, SigLIP 2 and BERT 0).
        clean: what is done to a text first, see `kgclip_jax.data.tokenization.cleaning`.
        zeroed_id: token whose every occurrence becomes 0, or None. CLIPA trains with BERT's tokens
            but without its [SEP], 102; open_clip calls it `strip_sep_token`.
    """

    kind: Literal["json"]
    file: LocalPath
    pad_id: NonNegativeInt
    clean: Clean = "none"
    zeroed_id: NonNegativeInt | None = None

    def __post_init__(self) -> None:
        check(bool(self.file), "file must name a tokenizer.json")


TokenizerSettings = ClipBpe | TokenizerJson


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of a model.

    Attributes:
        text: of its text tower.
        elements: of the word pieces that its knowledge encoder reads, if it reads them.
    """

    text: TokenizerSettings = ClipBpe()
    elements: TokenizerJson | None = None


def make_tokenizer(settings: TokenizerSettings, context_length: int) -> Tokenizer:
    """Open a tokenizer whose rows have `context_length` tokens.

    Raises:
        ConfigError: the context length is too short for it.
        DataError: the file cannot be read.
    """
    if isinstance(settings, ClipBpe):
        return ClipTokenizer(context_length)
    return JsonTokenizer.open(
        settings.file,
        context_length,
        clean=settings.clean,
        pad_id=settings.pad_id,
        zeroed_id=settings.zeroed_id,
    )
