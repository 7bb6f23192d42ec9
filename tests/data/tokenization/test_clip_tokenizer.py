import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.data.tokenization.clip_tokenizer import (
    END_OF_TEXT,
    START_OF_TEXT,
    ClipTokenizer,
    bucket,
)
from kgclip_jax.errors import ConfigError

# One object a line: a text, how often it is repeated, and the ids of open_clip 3.3.0's
# SimpleTokenizer with ftfy 6.3.1, without padding.
GOLDEN_FILE = Path(__file__).parents[2] / "golden" / "clip_tokens.jsonl"
GOLDEN = [json.loads(line) for line in GOLDEN_FILE.read_text().splitlines()]


def test_same_ids_as_open_clip():
    tokens = ClipTokenizer()([case["text"] * case["repeat"] for case in GOLDEN])
    for case, row in zip(GOLDEN, tokens.tolist(), strict=True):
        assert row == case["ids"] + [0] * (77 - len(case["ids"])), ascii(case["text"])


@pytest.mark.parametrize("token", ["<end_of_text>", "<start_of_text>", "<END_of_text>"])
def test_special_tokens_in_a_text_are_text(token):
    spelt, apart = ClipTokenizer(20)([f"a cat!{token}a dog", "a cat!< " + f"{token[1:]} a dog"])
    np.testing.assert_array_equal(spelt, apart)
    assert spelt.tolist().count(START_OF_TEXT) == spelt.tolist().count(END_OF_TEXT) == 1
    other = ClipTokenizer(20)(["a <|endoftext|> b"])[0].tolist()  # as transformers calls it
    assert other.count(END_OF_TEXT) == 1 < other.index(END_OF_TEXT) - 3


def test_rows_do_not_depend_on_their_neighbours():
    texts = [case["text"] for case in GOLDEN]
    tokenizer = ClipTokenizer(20)
    together = tokenizer(texts)
    assert together.dtype == np.int32
    np.testing.assert_array_equal(together, np.concatenate([tokenizer([t]) for t in texts]))
    assert tokenizer([]).shape == (0, 20)


def test_truncation_keeps_the_end_of_text():
    whole, cut = (ClipTokenizer(length)(["one two three four five six"]) for length in (77, 5))
    np.testing.assert_array_equal(cut[0], [*whole[0, :4], END_OF_TEXT])


@given(st.text(max_size=200), st.sampled_from([3, 8, 77]))
def test_every_text_starts_ends_and_is_padded_with_zeros(text, context_length):
    tokenizer = ClipTokenizer(context_length)
    tokens = tokenizer([text])
    length = tokenizer.lengths(tokens)[0]
    assert tokens[0, 0] == START_OF_TEXT
    assert tokens[0, length - 1] == END_OF_TEXT
    assert 2 <= length <= context_length
    assert not tokens[0, length:].any()


def test_lengths_are_not_fooled_by_piece_zero():
    tokenizer = ClipTokenizer()
    tokens = tokenizer(["!?!$!a", "a cat", ""])
    first_end = tokens[0].tolist().index(END_OF_TEXT)
    assert (tokens[0, :first_end] == 0).any()  # "!" is piece 0 within a word
    assert tokenizer.lengths(tokens).tolist() == [first_end + 1, 4, 2]


def test_pickled_tokenizer_and_its_fingerprint():
    tokenizer = ClipTokenizer(32)
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy == tokenizer
    np.testing.assert_array_equal(copy(["a cat"]), tokenizer(["a cat"]))
    assert copy.fingerprint == ClipTokenizer(77).fingerprint
    assert len(tokenizer.fingerprint) == 64


def test_bucket_is_the_smallest_that_holds_the_text():
    found = [bucket(length, (16, 32, 77)) for length in (2, 16, 17, 33, 77)]
    assert found == [16, 16, 32, 77, 77]


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="holds 33 tokens"):
        bucket(33, (16, 32))
    with pytest.raises(ConfigError, match="context_length must be at least 3"):
        ClipTokenizer(2)
