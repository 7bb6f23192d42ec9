"""Settings of the tokenizer: which vocabulary, and what is done to a text before and after it."""

from dataclasses import dataclass
from typing import Literal

from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.json_tokenizer import Clean, JsonTokenizer
from kgclip_jax.schema import check
from kgclip_jax.types import Tokenizer


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
    file: str
    pad_id: int
    clean: Clean = "none"
    zeroed_id: int | None = None

    def __post_init__(self) -> None:
        check(bool(self.file), "file must name a tokenizer.json")
        check(self.pad_id >= 0, "pad_id must not be negative")


TokenizerSettings = ClipBpe | TokenizerJson


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
