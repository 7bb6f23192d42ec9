"""The rules against each other: Python's against normalizers, and both against the sources."""

import json
import re
import string
import typing
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.tokenization.cleaning import Clean, clean, with_normalizers
from kgclip_jax.knowledge.clean_captions import mend

GOLDEN = (Path(__file__).parents[2] / "golden" / "clip_tokens.jsonl").read_text().splitlines()
TEXTS = [case["text"] * case["repeat"] for case in map(json.loads, GOLDEN)]
MODEL = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}


def normalize(text, rule, own=None):
    """Apply a rule in the form of a tokenizer.json."""
    content = {"version": "1.0", "added_tokens": [], "normalizer": own, "model": MODEL}
    written = json.dumps(with_normalizers(content, rule))
    normalizer = tokenizers.Tokenizer.from_str(written).normalizer
    return text if normalizer is None else normalizer.normalize_str(text)


def canonical(text):
    """What SigLIP's authors publish (big_vision), as transformers has it."""
    text = text.replace("\u2581", " ").lower()
    text = text.translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("none", " A_b&amp;c,  caf\u00c3\u00a9 "),
        ("lower", " A_b&amp;c,  caf\u00c3\u00a9 "),  # its normalizer does it
        ("open_clip_whitespace", "A_b&c, caf\u00e9"),
        ("open_clip_lower", "a_b&c, caf\u00e9"),
        ("open_clip_canonicalize", "a bc caf\u00e9"),
    ],
)
def test_python_part_of_the_rules(rule, expected):
    assert clean(" A_b&amp;c,  caf\u00c3\u00a9 ", rule) == expected


@pytest.mark.parametrize("rule", typing.get_args(Clean))
def test_lone_surrogates_are_replaced(rule):
    assert "\ufffd" in clean("lone \ud800 surrogate", rule)


@given(
    st.one_of(st.text(), st.text("aB\u03a9 .,'_<>[]\\^-\u2581\x1c\x85\u3000\u0130")),
    st.sampled_from(["open_clip_whitespace", "open_clip_lower", "open_clip_canonicalize"]),
)
def test_normalizers_do_what_python_does_to_a_mended_text(text, rule):
    text = mend(text).replace("\u03a3", "")  # final sigma: below
    assert normalize(text, rule) == clean(text, rule)


def test_canonicalize_is_that_of_siglip():
    texts = [text.encode(errors="replace").decode() for text in TEXTS]
    assert [normalize(text, "canonicalize") for text in texts] == list(map(canonical, texts))


def test_final_sigma_as_in_python():
    for text in (
        "\u039f\u0394\u039f\u03a3",
        "\u03a3\u0391\u03a3 \u03a3",
        "\u0391\u03a3. \u0391\u03a3!",
    ):
        assert normalize(text, "canonicalize") == canonical(text)
        assert normalize(text, "lower") == "".join(map(str.lower, text))  # each alone, as Rust


def test_rule_stands_before_the_tokenizers_own_normalizer():
    own = {"type": "Replace", "pattern": {"String": "A"}, "content": "B"}
    assert normalize("A", "none", own) == "B"
    assert normalize("A", "lower", own) == "a"
    assert normalize("A", "none") == "A"
