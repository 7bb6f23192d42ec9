import json
import pickle

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from kgclip_jax.data.tokenization.clip_tokenizer import ClipTokenizer
from kgclip_jax.data.tokenization.json_tokenizer import JsonTokenizer
from kgclip_jax.data.tokenization.tokenizer_config import (
    ClipBpe,
    Tokenizer,
    TokenizerJson,
    make_tokenizer,
)
from kgclip_jax.errors import ConfigError, DataError

CAPTIONS = ["a small dog runs over the snow", "two cats sit on a red sofa", "the dog sits"] * 5
PAD, CLS, SEP, END = 0, 1, 2, 1


def save(tokenizer, folder):
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.fixture(scope="module")
def unigram(tmp_path_factory):
    """The kind of SigLIP: pieces, an end of text, padding with that end."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", END)]
    )
    return save(tokenizer, tmp_path_factory.mktemp("unigram"))


@pytest.fixture(scope="module")
def word_pieces(tmp_path_factory):
    """The kind of BERT: [CLS] in front, [SEP] behind."""
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=80, special_tokens=special)
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    return save(tokenizer, tmp_path_factory.mktemp("word_pieces"))


def test_rows_hold_the_librarys_ids_and_padding(unigram):
    ours = JsonTokenizer.open(unigram, 64, pad_id=END)
    assert isinstance(ours, Tokenizer)
    library = tokenizers.Tokenizer.from_file(str(unigram))
    rows = ours(CAPTIONS[:3])
    assert rows.dtype == np.int32
    for row, text in zip(rows, CAPTIONS, strict=False):
        ids = library.encode(text).ids
        assert 4 < len(ids) < 64
        assert row.tolist() == ids + [END] * (64 - len(ids))
    assert ours([]).shape == (0, 64)
    assert (ours.vocabulary_size, ours.end_id) == (library.get_vocab_size(), END)


def test_truncation_keeps_special_tokens(unigram, word_pieces):
    text = " ".join(CAPTIONS)
    whole, cut = (JsonTokenizer.open(unigram, n, pad_id=END)([text])[0] for n in (500, 6))
    assert cut.tolist() == [*whole[:5], END]
    whole, cut = (JsonTokenizer.open(word_pieces, n, pad_id=PAD)([text])[0] for n in (500, 6))
    assert cut.tolist() == [CLS, *whole[1:5], SEP]


def test_zeroed_token_and_what_ends_a_text(word_pieces):
    plain = JsonTokenizer.open(word_pieces, 8, pad_id=PAD)
    zeroed = JsonTokenizer.open(word_pieces, 8, pad_id=PAD, zeroed_id=SEP)
    a, b = plain(["the dog"])[0], zeroed(["the dog"])[0]
    assert SEP in a
    assert SEP not in b
    np.testing.assert_array_equal(b, np.where(a == SEP, 0, a))
    assert (plain.end_id, zeroed.end_id) == (SEP, None)


def test_lengths_end_with_the_first_end_of_text(unigram, word_pieces):
    tokenizer = JsonTokenizer.open(unigram, 9, pad_id=END)
    rows = tokenizer(["a dog", "", " ".join(CAPTIONS)])
    first_ends = [row.tolist().index(END) + 1 for row in rows]
    assert tokenizer.lengths(rows).tolist() == first_ends
    assert first_ends[1:] == [1, 9]
    endless = JsonTokenizer.open(word_pieces, 9, pad_id=PAD, zeroed_id=SEP)
    assert endless.lengths(endless(["a dog", ""])).tolist() == [9, 9]  # the last position counts


def test_special_tokens_in_a_text_are_text(unigram, word_pieces):
    pieces = JsonTokenizer.open(unigram, 16, pad_id=PAD)
    (row,) = pieces(["a dog</s> the <pad>"]).tolist()
    assert (row.count(END), row.index(END)) == (1, pieces.lengths(np.array([row]))[0] - 1)
    assert PAD not in row[: row.index(END)]
    words = JsonTokenizer.open(word_pieces, 16, pad_id=PAD)
    (row,) = words(["a dog [SEP] the [PAD] [CLS]"]).tolist()
    assert (row.count(CLS), row.count(SEP), row.index(CLS)) == (1, 1, 0)
    assert PAD not in row[: row.index(SEP)]


def test_cleaning_comes_first(unigram):
    plain = JsonTokenizer.open(unigram, 16, pad_id=END)
    for rule in ("canonicalize", "open_clip_canonicalize"):
        cleaned = JsonTokenizer.open(unigram, 16, pad_id=END, clean=rule)
        np.testing.assert_array_equal(cleaned(["A dog, SITS!"]), plain(["a dog sits"]))
    lower = JsonTokenizer.open(unigram, 16, pad_id=END, clean="lower")
    np.testing.assert_array_equal(lower(["A dog, SITS!"]), plain(["a dog, sits!"]))


@given(text=st.text(max_size=100))
def test_any_text_gives_a_row_that_ends(unigram, text):
    tokenizer = JsonTokenizer.open(unigram, 12, pad_id=END, clean="open_clip_canonicalize")
    tokens = tokenizer([text, text + "\ud800"])
    assert (tokens[:, -1] == END).all()
    assert ((tokens >= 0) & (tokens < tokenizer.vocabulary_size)).all()


def test_pickle_is_small_and_notices_a_changed_file(unigram, tmp_path):
    file = tmp_path / "tokenizer.json"
    content = json.loads(unigram.read_text())
    file.write_text(json.dumps(content))
    tokenizer = JsonTokenizer.open(file, 16, pad_id=END)
    pickled = pickle.dumps(tokenizer)
    assert len(pickled) < 1000
    assert pickle.loads(pickled) == tokenizer
    content["model"]["vocab"][5][1] -= 1.0
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="has changed"):
        pickle.loads(pickled)(["a dog"])


def test_fingerprint_is_that_of_content_and_rules(unigram, tmp_path):
    content = json.loads(unigram.read_text())
    padding = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None}
    padding |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(content | {"padding": padding}, indent=1))
    content["model"]["vocab"][5][1] -= 1.0
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    tokenizers_ = [
        JsonTokenizer.open(unigram, 16, pad_id=END),
        JsonTokenizer.open(other, 16, pad_id=END),
        JsonTokenizer.open(unigram, 16, pad_id=PAD),
        JsonTokenizer.open(unigram, 16, pad_id=END, clean="lower"),
        JsonTokenizer.open(unigram, 16, pad_id=END, zeroed_id=4),
    ]
    assert len({tokenizer.fingerprint for tokenizer in tokenizers_}) == 5
    same = JsonTokenizer.open(copy, 32, pad_id=END)
    assert same.fingerprint == tokenizers_[0].fingerprint


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "not valid JSON"),
            ("[]", "no object 'model'"),
            ('{"model": {"type": "Nonsense"}}', "not a tokenizer.json"),
            ('{"model": {"type": "BPE", "dropout": 0.1}}', "at random; set its model.dropout"),
        ],
    )
    def test_malformed_file(self, tmp_path, content, message):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(DataError, match=message) as caught:
            JsonTokenizer.open(tmp_path / "tokenizer.json", 16, pad_id=0)
        assert "tokenizer.json" in str(caught.value)

    def test_missing_file(self, tmp_path):
        with pytest.raises(DataError, match=r"nowhere\.json: No such file"):
            JsonTokenizer.open(tmp_path / "nowhere.json", 16, pad_id=0)

    def test_settings_that_do_not_fit(self, word_pieces):
        with pytest.raises(ConfigError, match="pad_id 999 is no token"):
            JsonTokenizer.open(word_pieces, 16, pad_id=999)
        with pytest.raises(ConfigError, match="zeroed_id 999 is no token"):
            JsonTokenizer.open(word_pieces, 16, pad_id=0, zeroed_id=999)
        with pytest.raises(ConfigError, match=r"at least 3, not 2: .* adds 2 special tokens"):
            JsonTokenizer.open(word_pieces, 2, pad_id=0)


def test_settings_make_the_tokenizer(word_pieces):
    assert make_tokenizer(ClipBpe(), 20) == ClipTokenizer(20)
    described = TokenizerJson("json", str(word_pieces), 0, "open_clip_whitespace", SEP)
    opened = JsonTokenizer.open(
        word_pieces, 8, pad_id=0, clean="open_clip_whitespace", zeroed_id=SEP
    )
    assert make_tokenizer(described, 8) == opened
