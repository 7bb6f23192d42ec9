"""Any tokenizer that is stored as a Hugging Face `tokenizer.json` or as a SentencePiece model.

Special tokens that are spelt out in a text are text, for the reason that `clip_tokenizer` gives;
transformers does so with `split_special_tokens=True` only, which exports have.
"""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from jaxtyping import Int, Int32

from kgclip_jax.data.tokenization.cleaning import Clean, clean, with_normalizers
from kgclip_jax.data.tokenization.sentencepiece import tokenizer_json
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.files import read_bytes, read_json


@dataclass(frozen=True)
class JsonTokenizer:
    """Turns texts into rows of token ids, as the file says, cut or padded to one length.

    Make it by `open`. It pickles into a few strings: a process that receives it reads the file
    again, and refuses one that has changed.

    Attributes:
        file: the `tokenizer.json` or `*.model`.
        context_length: tokens in a row. A longer text is cut, and keeps its special tokens.
        clean: what is done to a text first, see `kgclip_jax.data.tokenization.cleaning`.
        pad_id: token that fills up short texts.
        zeroed_id: token whose every occurrence becomes 0, or None.
        vocabulary_size: ids lie below it.
        end_id: the token that ends every text, or None.
        content_hash: of the file's content.
    """

    file: str
    context_length: int
    clean: Clean
    pad_id: int
    zeroed_id: int | None
    vocabulary_size: int
    end_id: int | None
    content_hash: str

    @classmethod
    def open(
        cls,
        file: str | Path,
        context_length: int,
        *,
        pad_id: int,
        clean: Clean = "none",
        zeroed_id: int | None = None,
    ) -> "JsonTokenizer":
        """Read a tokenizer file.

        Raises:
            DataError: the file is missing or no tokenizer.
            ConfigError: it does not fit `context_length`, `pad_id` or `zeroed_id`.
        """
        path = os.path.abspath(file)
        settings = read_tokenizer_json(path)
        backend = _backend(settings, path)
        for name, token in (("pad_id", pad_id), ("zeroed_id", zeroed_id)):
            if token is not None and backend.id_to_token(token) is None:
                raise ConfigError(f"{name} {token} is no token of {file}")
        shortest = backend.num_special_tokens_to_add(False) + 1
        if context_length < shortest:
            raise ConfigError(
                f"context_length must be at least {shortest}, not {context_length}: {file} adds "
                f"{shortest - 1} special tokens"
            )
        return cls(
            file=path,
            context_length=context_length,
            clean=clean,
            pad_id=pad_id,
            zeroed_id=zeroed_id,
            vocabulary_size=max(backend.get_vocab().values()) + 1,
            end_id=_end_id(backend, zeroed_id),
            content_hash=_hash(settings),
        )

    def __call__(self, texts: Sequence[str]) -> Int32[np.ndarray, "texts {self.context_length}"]:
        """Return the token ids of each text."""
        backend = _padding_backend(
            self.file, self.content_hash, self.clean, self.context_length, self.pad_id
        )
        encodings = backend.encode_batch_fast([clean(text, self.clean) for text in texts])
        ids = np.array([encoding.ids for encoding in encodings], np.int32)
        ids = ids.reshape(len(encodings), self.context_length)
        return ids if self.zeroed_id is None else np.where(ids == self.zeroed_id, np.int32(0), ids)

    def lengths(self, tokens: Int[np.ndarray, "texts n"]) -> Int[np.ndarray, " texts"]:
        """Return the number of tokens of each row up to and with the first end of text.

        Without an end of text that is the whole row: the last position may be what is read.
        """
        if self.end_id is None:
            return np.full(len(tokens), tokens.shape[1])
        return np.argmax(tokens == self.end_id, axis=1) + 1

    @property
    def fingerprint(self) -> str:
        """Hash of the file's content and the rules; equal fingerprints give equal ids."""
        rules = (
            f"{self.content_hash} clean {self.clean} pad {self.pad_id} zeroed {self.zeroed_id} "
            "special tokens are text"
        )
        return hashlib.sha256(rules.encode()).hexdigest()


def read_tokenizer_json(file: str | Path) -> dict[str, Any]:
    """Read a `tokenizer.json`, or make one of a SentencePiece model, without length settings.

    Raises:
        DataError: the file is missing or malformed, or splits texts at random.
    """
    path = Path(file)
    if path.suffix == ".model":
        return tokenizer_json(read_bytes(path), str(path))
    settings = read_json(path)
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), dict):
        raise DataError(f"{path}: not a tokenizer.json; it has no object 'model'")
    if settings["model"].get("dropout"):
        raise DataError(f"{path}: splits texts at random; set its model.dropout to null")
    return settings | {"truncation": None, "padding": None}


@functools.lru_cache(maxsize=4)
def _padding_backend(
    file: str, content_hash: str, rule: Clean, context_length: int, pad_id: int
) -> tokenizers.Tokenizer:
    """Make the Rust tokenizer that cuts and pads, once a process."""
    settings = read_tokenizer_json(file)
    if _hash(settings) != content_hash:
        raise DataError(f"{file}: has changed since the tokenizer was made")
    settings = with_specials_as_text(settings, file, pad_id)
    if settings["model"]["type"] == "Unigram":
        settings = _with_specials_renamed(settings)
    backend = _backend(with_normalizers(settings, _normalized(rule)), file)
    backend.encode_special_tokens = True  # by the pieces of their names
    backend.enable_truncation(context_length)
    backend.enable_padding(
        length=context_length, pad_id=pad_id, pad_token=backend.id_to_token(pad_id)
    )
    return backend


def with_specials_as_text(settings: dict[str, Any], file: str, pad_id: int) -> dict[str, Any]:
    """Leave special those special tokens alone that are text when a text spells them out.

    Those outside of the model's vocabulary that the tokenizer never writes stay tokens: somebody
    added them to be used in texts.
    """
    backend = _backend(settings, file)
    own, written = backend.get_vocab(with_added_tokens=False), {pad_id, *backend.encode("").ids}
    tokens = [
        token
        | {"special": token["special"] and (token["content"] in own or token["id"] in written)}
        for token in settings.get("added_tokens") or []
    ]
    return settings | {"added_tokens": tokens}


def _with_specials_renamed(settings: dict[str, Any]) -> dict[str, Any]:
    """Give special tokens names that no text has: a unigram model finds its own by itself."""
    names = {
        token["content"]: "\0" + token["content"]
        for token in settings["added_tokens"]
        if token["special"]
    }
    tokens = [
        token | {"content": names.get(token["content"], token["content"])}
        for token in settings["added_tokens"]
    ]
    vocabulary = [[names.get(piece, piece), score] for piece, score in settings["model"]["vocab"]]
    model = settings["model"] | {"vocab": vocabulary}
    return settings | {"model": model, "added_tokens": tokens}


def _normalized(rule: Clean) -> Clean:
    """Return the rule if normalizers do it rather than `clean`."""
    return "none" if rule.startswith("open_clip") else rule


def check_tokenizer(settings: dict[str, Any], file: str | Path) -> None:
    """Raise DataError unless the content of a `tokenizer.json` is a tokenizer."""
    _backend(settings, str(file))


def _backend(settings: dict[str, Any], file: str) -> tokenizers.Tokenizer:
    try:
        backend = tokenizers.Tokenizer.from_str(json.dumps(settings))
        backend.encode("a")
        return backend
    except BaseException as error:  # the library raises no narrower class, and panics at some
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise DataError(f"{file}: not a tokenizer.json ({error})") from error


def _end_id(backend: tokenizers.Tokenizer, zeroed_id: int | None) -> int | None:
    """Return the special token that is put behind every text, if there is one."""
    encoding = backend.encode("a")
    ends = encoding.special_tokens_mask[-1:] == [1] and encoding.ids[-1] != zeroed_id
    return encoding.ids[-1] if ends else None


def _hash(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
