import io
import json
import struct

import pytest
import tokenizers

from kgclip_jax.data.tokenization.json_tokenizer import JsonTokenizer
from kgclip_jax.data.tokenization.sentencepiece import tokenizer_json
from kgclip_jax.errors import DataError

UNKNOWN, CONTROL, NORMAL = 2, 3, 1


def field(number, value):
    """Encode one field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def model(*pieces, kind=1):
    body = b"".join(
        field(1, field(1, text.encode()) + field(2, score) + field(3, type))
        for text, score, type in pieces
    )
    return body + field(2, field(3, kind)) + field(3, b"")


PIECES = [
    ("<pad>", 0.0, CONTROL),
    ("</s>", 0.0, CONTROL),
    ("<unk>", 0.0, UNKNOWN),
    ("\u2581a", -1.0, NORMAL),
    ("\u2581dog", -2.0, NORMAL),
    ("s", -3.0, NORMAL),
    ("\u2581", -4.0, NORMAL),
]


def test_pieces_scores_and_end_of_text(tmp_path):
    file = tmp_path / "spiece.model"
    file.write_bytes(model(*PIECES))
    tokenizer = JsonTokenizer.open(file, 8, pad_id=1)
    rows = tokenizer(["a dogs", "  a   dog ", "", "a cat"])
    assert rows[0].tolist() == [3, 4, 5, 1, 1, 1, 1, 1]
    assert rows[1].tolist() == [3, 4, 1, 1, 1, 1, 1, 1]
    assert rows[2].tolist() == [1] * 8
    assert rows[3].tolist() == [3, 6, 2, 1, 1, 1, 1, 1]  # unknown pieces in a row are one
    assert (tokenizer.vocabulary_size, tokenizer.end_id) == (7, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\xff", "not a SentencePiece model"),
        (model(*PIECES)[:-3], "not a SentencePiece model"),
        (b"\x0b", "not a SentencePiece model"),
        (field(1, field(1, 7)), "not a SentencePiece model"),  # a piece that is a number
        (model(*PIECES) + field(1, 7), "not a SentencePiece model"),
        (model(*PIECES)[:-2] + field(3, field(2, 7)), "not a SentencePiece model"),  # its map, too
        (b"\x0a" + b"\x80" * 10**5 + b"\x01", "not a SentencePiece model"),
        (b"", "not a unigram model"),
        (model(*PIECES, kind=2), "not a unigram model"),  # byte pairs
        (model(*PIECES[2:]), "not a unigram model"),  # no end of text
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(DataError, match=f"^spiece.model: {message}"):
        tokenizer_json(content, "spiece.model")


def test_same_ids_as_sentencepiece(shared_data):
    library = pytest.importorskip("sentencepiece")
    lines = (shared_data / "flickr8k" / "captions.txt").read_text().splitlines()[1:3001]
    captions = [line.split(",", 1)[1] for line in lines]
    buffer = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(captions),
        model_writer=buffer,
        vocab_size=500,
        bos_id=-1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        minloglevel=2,
    )
    reference = library.SentencePieceProcessor(model_proto=buffer.getvalue())
    texts = [*captions, "", "  ", "\uff21 \u00bd \u732b dog", "\U0001f600 a\u00a0dog\u3000x"]
    ours = json.dumps(tokenizer_json(buffer.getvalue(), "spiece.model"))
    encoded = tokenizers.Tokenizer.from_str(ours).encode_batch(texts)
    for text, encoding in zip(texts, encoded, strict=True):
        assert encoding.ids == [*reference.encode(text), 1], text
