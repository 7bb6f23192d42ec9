"""The byte-pair tokenizer of CLIP: the same token ids as open_clip's `SimpleTokenizer`.

The encoder is `instant-clip-tokenizer` (Rust, with the vocabulary inside), after the cleaning that
CLIP was trained with: ftfy mends broken encodings, curly quotes and control characters; HTML
entities are resolved twice; white space collapses. (transformers' `CLIPTokenizer` leaves out the
first two, so ids of such texts differ from its.) Two oddities of the Python `regex` module are left
out: a long s after an apostrophe, and U+0345, which it takes for a letter.

Special tokens that are spelt out in a text are text. Elsewhere a caption `a cat <end_of_text> ...`
(open_clip) or `a cat <|endoftext|> ...` (transformers) is read as if it ended there: captions come
from strangers, and an end of text within a text would hide the rest of it, unseen.
"""

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import instant_clip_tokenizer
import numpy as np
from jaxtyping import Int, Int32

from kgclip_jax.data.tokenization.cleaning import clean
from kgclip_jax.errors import ConfigError

VOCABULARY_SIZE = 49408
START_OF_TEXT = 49406
END_OF_TEXT = 49407

_RULES = (
    "clean: ftfy, html.unescape twice, collapse white space, lower; special tokens are text; "
    "truncate before end; pad 0"
)
# The encoder's names of special tokens. Punctuation and letters are never of one piece, so that a
# space between them changes nothing else.
_SPELT_OUT = re.compile("<(?=(?:start|end)_of_text>)")


@dataclass(frozen=True)
class ClipTokenizer:
    """Turns texts into rows of token ids: start, pieces, end of text, padded with zeros.

    Attributes:
        context_length: tokens in a row. A longer text is cut, and keeps its end-of-text token.
    """

    context_length: int = 77
    vocabulary_size: ClassVar[int] = VOCABULARY_SIZE
    end_id: ClassVar[int] = END_OF_TEXT

    def __post_init__(self) -> None:
        if self.context_length < 3:
            raise ConfigError(f"context_length must be at least 3, not {self.context_length}")

    def __call__(self, texts: Sequence[str]) -> Int32[np.ndarray, "texts {self.context_length}"]:
        """Return the token ids of each text."""
        cleaned = [_SPELT_OUT.sub("< ", clean(text, "open_clip_lower")) for text in texts]
        return _encoder().tokenize_batch(cleaned, self.context_length).astype(np.int32)

    def lengths(self, tokens: Int[np.ndarray, "texts n"]) -> Int[np.ndarray, " texts"]:
        """Return the number of tokens of each row up to and with the first end of text.

        The padding cannot tell: 0 is also the id of a piece of text.
        """
        return np.argmax(tokens == END_OF_TEXT, axis=1) + 1

    @property
    def fingerprint(self) -> str:
        """Hash of the vocabulary and the rules; equal fingerprints give equal ids."""
        return _fingerprint()


def bucket(length: int, buckets: Sequence[int]) -> int:
    """Return the smallest of the ascending `buckets` that holds `length` tokens.

    Raises:
        ConfigError: none does; the last bucket has to be the context length.
    """
    for size in buckets:
        if length <= size:
            return size
    raise ConfigError(f"no bucket of {list(buckets)} holds {length} tokens; add the context length")


@functools.cache
def _encoder() -> instant_clip_tokenizer.Tokenizer:
    """Make the Rust encoder: once a process, because it takes 50 ms and cannot be pickled."""
    return instant_clip_tokenizer.Tokenizer()


@functools.cache
def _fingerprint() -> str:
    digest = hashlib.sha256(_RULES.encode())
    for token in range(VOCABULARY_SIZE):
        digest.update(_encoder().decode([token]).encode() + b"\0")
    return digest.hexdigest()
