"""The vocabulary and merges of CLIP's byte-pair encoding, to be written for other libraries.

They are taken back out of the Rust encoder, which holds them but does not show them. Its `decode`
gives the bytes of every token; and a merge is the pair of pieces that is left when all earlier
merges are applied to the token that it makes (Sennrich et al. 2016). A checksum guards the result.
"""

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import instant_clip_tokenizer

from kgclip_jax.data.tokenization.clip_tokenizer import END_OF_TEXT, START_OF_TEXT
from kgclip_jax.errors import ConfigError

SPECIAL_TOKENS = {"<|startoftext|>": START_OF_TEXT, "<|endoftext|>": END_OF_TEXT}
END_OF_WORD = "</w>"

_FIRST_MERGE = 512  # before it: each byte, and each byte that ends a word
_MERGES_SHA256 = "f61f2adf497e6f5357c347aeb4646fabe82f341e946de5bdec5d2858e41bef4a"

# Bytes that make whole characters of a token which starts or ends within one.
_LEADS = (b"\xc3", b"\xe1", b"\xe1\x80", b"\xf1", b"\xf1\x80", b"\xf1\x80\x80")
_TRAILS = (b"\x80", b"\x90", b"\xa0", b"\x80\x80", b"\x90\x80", b"\xa0\x80", b"\x90\x80\x80")


class Vocabulary(NamedTuple):
    """What `vocab.json` and `merges.txt` hold; bytes are written as printable characters."""

    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]


@functools.cache
def clip_vocabulary() -> Vocabulary:
    """Reconstruct the vocabulary, in about two seconds.

    Raises:
        ConfigError: the installed encoder holds another one.
    """
    encoder = instant_clip_tokenizer.Tokenizer()
    letters = byte_letters()
    order = {byte: token for token, byte in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    ranks: dict[tuple[str, str], int] = {}
    for token in range(_FIRST_MERGE, START_OF_TEXT):
        content = _content(encoder, token, order)
        word = [letters[byte] for byte in content.removesuffix(b" ")]
        if content.endswith(b" "):
            word[-1] += END_OF_WORD
        first, second = _apply(ranks, word)
        ranks[first, second] = len(merges)
        merges.append((first, second))
    if _checksum(merges) != _MERGES_SHA256:
        raise ConfigError("instant-clip-tokenizer does not hold CLIP's vocabulary; install 0.1.1")
    singles = list(letters.values())
    tokens = [*singles, *(letter + END_OF_WORD for letter in singles), *map("".join, merges)]
    return Vocabulary({token: i for i, token in enumerate(tokens)} | SPECIAL_TOKENS, merges)


def is_clip_vocabulary(ids: Mapping[str, int], merges: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether a byte-pair encoding is CLIP's own, without additions; special names vary."""
    return (
        len(ids) == END_OF_TEXT + 1
        and _checksum(merges) == _MERGES_SHA256
        and all(ids.get("".join(pair)) == _FIRST_MERGE + i for i, pair in enumerate(merges))
    )


def byte_letters() -> dict[int, str]:
    """Return a printable character for each byte, in the order of the token ids (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + i) for i, byte in enumerate(others)
    }


def _content(
    encoder: instant_clip_tokenizer.Tokenizer, token: int, order: Mapping[int, int]
) -> bytes:
    """Return a token's bytes; a space stands for the end of a word.

    A token may start or end within a character, which `decode` shows as U+FFFD. Then it is decoded
    between bytes that make the character whole. Two tokens do hold U+FFFD itself.
    """
    text = encoder.decode([token])
    if "\ufffd" in text:
        for lead in (b"", *_LEADS):
            for trail in (b"", *_TRAILS):
                neighbours = [order[byte] for byte in lead], [order[byte] for byte in trail]
                whole = encoder.decode([*neighbours[0], token, *neighbours[1]])
                if "\ufffd" not in whole:
                    return whole.encode()[len(lead) :].removesuffix(trail)
    return text.encode()


def _apply(ranks: Mapping[tuple[str, str], int], word: list[str]) -> list[str]:
    """Join neighbours in the order of the merges, until none applies."""
    while len(word) > 2:
        pairs = [ranks.get(pair, len(ranks)) for pair in itertools.pairwise(word)]
        best = min(pairs)
        if best == len(ranks):
            break
        at = pairs.index(best)
        word[at : at + 2] = ["".join(word[at : at + 2])]
    return word


def _checksum(merges: Sequence[tuple[str, ...]]) -> str:
    return hashlib.sha256("\n".join(map(" ".join, merges)).encode()).hexdigest()
