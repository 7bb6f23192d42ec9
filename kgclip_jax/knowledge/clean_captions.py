"""Captions as tokenizers and parsers read them, and where their characters stood before that."""

import html
import re
from difflib import SequenceMatcher

import ftfy

from kgclip_jax.knowledge.english import lower_case, quiet
from kgclip_jax.knowledge.scene_graph import Span


def mend(text: str) -> str:
    """Repair broken encodings, curly quotes and control characters; resolve HTML entities twice."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text  # nothing to repair, and most captions are like this
    return html.unescape(html.unescape(ftfy.fix_text(text)))


def clean_caption(text: str) -> str:
    """Clean a caption, where it is read: before its scene graph, negatives and tokens are made.

    It is mended, with one space between words, and does not shout (see `quiet`). A blank one is
    empty.
    """
    return quiet(" ".join(mend(text).split()))


def origins(clean: str, text: str) -> list[Span]:
    """Return, for each character of a cleaned text, where it stood in the text before.

    What cleaning left out ("amp;") belongs to no character.
    """
    found: list[Span] = []
    before = re.sub(r"\s", " ", lower_case(text))
    matcher = SequenceMatcher(None, lower_case(clean), before, autojunk=False)
    for kind, first, last, start, stop in matcher.get_opcodes():
        if kind == "equal":
            found += [Span(place, place + 1) for place in range(start, stop)]
        else:  # characters gave way to others, as a whole
            start = min(start, len(text) - 1)
            length = len(text[start:stop].rstrip()) or 1
            found += [Span(start, start + length)] * (last - first)
    return found
