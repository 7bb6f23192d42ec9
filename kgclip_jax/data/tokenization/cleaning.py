"""What is done to a text before it is split into tokens: one rule a family of models.

open_clip cleans in Python, and so do we for its rules. transformers' rules are normalizers in front
of those of a `tokenizer.json`. open_clip's can be written as normalizers too, for users of other
libraries, but for the mending of broken encodings and HTML entities.
"""

import re
import string
from collections.abc import Mapping
from typing import Any, Literal

from kgclip_jax.knowledge.clean_captions import mend

Clean = Literal[
    "none",  # nothing: the tokenizer.json does it all
    "lower",  # SigLIP 2: lower case (transformers' Siglip2Tokenizer)
    "canonicalize",  # SigLIP: lower case, no ASCII punctuation (transformers' SiglipTokenizer)
    "open_clip_whitespace",  # mend, one space between words
    "open_clip_lower",  # the same, and lower case
    "open_clip_canonicalize",  # the same, underscores to spaces, no other ASCII punctuation
]

_DROP_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean(text: str, rule: Clean) -> str:
    """Apply one of open_clip's rules; leave the text alone for the others.

    Surrogates that stand alone become U+FFFD: no tokenizer takes them.
    """
    if rule.startswith("open_clip"):
        text = mend(text)
        if rule == "open_clip_canonicalize":
            text = text.replace("_", " ").translate(_DROP_PUNCTUATION)
        if rule != "open_clip_whitespace":
            text = text.lower()
        text = " ".join(text.split())
    return text if text.isascii() else re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def with_normalizers(content: Mapping[str, Any], rule: Clean) -> dict[str, Any]:
    """Put a rule, without the mending, in front of a tokenizer.json's own normalizers."""
    own = content.get("normalizer")
    steps = [*_normalizers(rule), *([own] if own else [])]
    return {**content, "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None}


def _normalizers(rule: Clean) -> list[dict[str, Any]]:
    lower = {"type": "Lowercase"}  # character by character; Python's `lower` knows final sigma
    lower_as_python = [_replace({"Regex": r"(?<=[\p{Lu}\p{Ll}])\u03a3(?!\p{L})"}, "\u03c2"), lower]
    punctuation = _replace({"Regex": f"[{re.escape(string.punctuation)}]"}, "")
    spaces = [
        _replace({"Regex": r"[\s\x1c-\x1f]+"}, " "),  # what Python takes for white space
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    match rule:
        case "none":
            return []
        case "lower":
            return [lower]
        case "canonicalize":
            word_mark = _replace({"String": "\u2581"}, " ")  # how SentencePiece writes a space
            return [word_mark, *lower_as_python, punctuation, *spaces]
        case "open_clip_whitespace":
            return spaces
        case "open_clip_lower":
            return [*lower_as_python, *spaces]
        case "open_clip_canonicalize":
            return [_replace({"String": "_"}, " "), punctuation, *lower_as_python, *spaces]


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}
