"""From a SentencePiece unigram model (`spiece.model`: SigLIP, T5) to a `tokenizer.json`.

The file is a protocol buffer of which five fields matter (sentencepiece_model.proto); they are read
here, so that the sentencepiece library is not needed.
"""

import base64
import struct
from collections.abc import Iterator
from typing import Any

from kgclip_jax.errors import DataError

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)
_UNIGRAM = 1
_WORD_MARK = "\u2581"

# Field numbers of ModelProto, SentencePiece, TrainerSpec and NormalizerSpec.
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE = 3
_CHARSMAP = 2


def tokenizer_json(model: bytes, name: str) -> dict[str, Any]:
    """Return the tokenizer that splits as SentencePiece does and ends each text with `</s>`.

    Raises:
        DataError: it is no unigram model with an unknown token and an end of text.
    """
    try:
        pieces = [_piece(value) for field, value in _fields(model) if field == _PIECES]
        trainer, normalizer = _message(model, _TRAINER), _message(model, _NORMALIZER)
        normalizers = _normalizers(normalizer)
    except (IndexError, KeyError, UnicodeDecodeError, struct.error, TypeError) as error:
        raise DataError(f"{name}: not a SentencePiece model") from error
    types = [kind for _, _, kind in pieces]
    ends = [i for i, (piece, _, kind) in enumerate(pieces) if (piece, kind) == ("</s>", _CONTROL)]
    if trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM or _UNKNOWN not in types or not ends:
        raise DataError(
            f"{name}: not a unigram model with <unk> and </s>; save a tokenizer.json by "
            "transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    special = [i for i, kind in enumerate(types) if kind in (_UNKNOWN, _CONTROL)]
    added = sorted(special + [i for i, kind in enumerate(types) if kind == _USER_DEFINED])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, pieces[i][0], i in special) for i in added],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": _metaspace(),
        "post_processor": _append("</s>", ends[0]),
        "decoder": _metaspace(),
        "model": {
            "type": "Unigram",
            "unk_id": types.index(_UNKNOWN),
            "vocab": [[piece, score] for piece, score, _ in pieces],
            "byte_fallback": _BYTE in types,
        },
    }


def _normalizers(settings: dict[int, Any]) -> list[dict[str, Any]]:
    """Return the model's own character map, then one space where there were several."""
    charsmap = settings.get(_CHARSMAP, b"")
    own = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    return [*([own] if charsmap else []), strip, spaces]


def _metaspace() -> dict[str, Any]:
    return {
        "type": "Metaspace",
        "replacement": _WORD_MARK,
        "prepend_scheme": "always",
        "split": True,
    }


def _append(token: str, token_id: int) -> dict[str, Any]:
    text, end = (
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": token, "type_id": 0}},
    )
    other = {"Sequence": {"id": "B", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [text, end],
        "pair": [text, end, other, end],
        "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
    }


def _added(token_id: int, content: str, special: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": content, "special": special, **flags}


def _piece(message: bytes) -> tuple[str, float, int]:
    fields = dict(_fields(message))
    return str(fields[_PIECE], "utf-8"), fields.get(_SCORE, 0.0), fields.get(_TYPE, _NORMAL)


def _message(model: bytes, number: int) -> dict[int, Any]:
    return next((dict(_fields(value)) for field, value in _fields(model) if field == number), {})


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: int (varint), float (32 bits), or bytes."""
    at = 0
    value: Any
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
            case 1:
                (value,), at = struct.unpack_from("<d", message, at), at + 8
            case 2:
                length, at = _varint(message, at)
                value, at = message[at : at + length], at + length
                if at > len(message):
                    raise IndexError("the message is cut off")
            case 5:
                (value,), at = struct.unpack_from("<f", message, at), at + 4
            case _:
                raise KeyError("no such type of field")
        yield tag >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, lowest first; return it and where it ends."""
    number = shift = 0
    while shift < 64:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    raise IndexError("a number without end")
