"""Token ids of transformers and open_clip from the files that we write, and ours from theirs.

Where a library itself does otherwise (transformers neither mends broken encodings nor resolves HTML
entities for CLIP), the test says so: it lists the texts that differ.
"""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, CLIPTokenizer, PreTrainedTokenizerFast, Siglip2Tokenizer

from kgclip_jax.convert.tokenizer_files import read_tokenizer, write_tokenizer
from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, TokenizerJson, make_tokenizer
from kgclip_jax.errors import ConversionError
from kgclip_jax.knowledge.clean_captions import mend

END_OF_TEXT = 49407
GOLDEN = (Path(__file__).parents[1] / "golden" / "clip_tokens.jsonl").read_text().splitlines()
HOSTILE = [case["text"] * case["repeat"] for case in map(json.loads, GOLDEN)]
HOSTILE = [text.encode(errors="replace").decode() for text in HOSTILE]  # others take no surrogates
SPELT_OUT = "</s> <unk> [SEP] <|endoftext|> x"  # special tokens for the others, text for us
HOSTILE += ["__init__ \u2581word\u2581", "a\u0301\u0302\u0303 zalgo", "\x1c\x85\u2028 x", SPELT_OUT]


@pytest.fixture(scope="module")
def captions(request):
    """Texts to train tokenizers and to compare ids: 5,000 of Flickr8k where it is at hand."""
    try:
        folder = request.getfixturevalue("shared_data")
    except pytest.skip.Exception:
        return [text for text in HOSTILE if re.fullmatch(r"[\w ,.'?!]+", text, re.ASCII)] * 20
    lines = (folder / "flickr8k" / "captions.txt").read_text().splitlines()[1:5001]
    return [line.split(",", 1)[1] for line in lines]


@pytest.fixture(scope="module")
def unigram(captions, tmp_path_factory):
    """SigLIP's kind of tokenizer."""
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=800, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(captions[:2000], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    file = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    tokenizer.save(str(file))
    return TokenizerJson("json", str(file), pad_id=1, clean="canonicalize")


@pytest.fixture(scope="module")
def word_pieces(captions, tmp_path_factory):
    """BERT's kind, as CLIPA has it: without [SEP]."""
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=800, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(captions[:2000], trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    file = tmp_path_factory.mktemp("word_pieces") / "tokenizer.json"
    tokenizer.save(str(file))
    return TokenizerJson("json", str(file), 0, "open_clip_whitespace", zeroed_id=3)


def write(settings, folder, format, context_length):
    """Write the tokenizer, and the settings of a model beside it."""
    files = write_tokenizer(settings, folder, format, context_length)
    if format == "huggingface":
        model_type = "clip" if isinstance(settings, ClipBpe) else "siglip"
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    else:
        text = {"context_length": context_length, **files.text_cfg}
        config = {"model_cfg": {"text_cfg": text}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    return files


def transformers_ids(tokenizer, texts):
    return np.array(tokenizer(texts, padding="max_length", truncation=True)["input_ids"])


def different(texts, ours, theirs):
    assert ours.shape == theirs.shape
    return {text for text, a, b in zip(texts, ours, theirs, strict=True) if (a != b).any()}


def pad_with_zeros(rows):
    """Make padding with the end of text, as transformers has it, that of open_clip."""
    ends = np.argmax(rows == END_OF_TEXT, axis=1)[:, None]
    return np.where(np.arange(rows.shape[1]) > ends, 0, rows)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    files = write(ClipBpe(), folder, "huggingface", 77)
    assert files.text_cfg == {}
    assert "ftfy" in files.notes[0]
    return folder


class TestClip:
    def test_captions_in_transformers(self, clip_folder, captions):
        theirs = AutoTokenizer.from_pretrained(clip_folder)
        assert isinstance(theirs, CLIPTokenizer)
        assert theirs.model_max_length == 77
        theirs = pad_with_zeros(transformers_ids(theirs, captions))
        assert different(captions, make_tokenizer(ClipBpe(), 77)(captions), theirs) == set()

    def test_hostile_texts_in_transformers_once_mended(self, clip_folder):
        """As the model card says: mend first."""
        theirs = AutoTokenizer.from_pretrained(clip_folder)
        theirs = pad_with_zeros(transformers_ids(theirs, [mend(text) for text in HOSTILE]))
        remaining = different(HOSTILE, make_tokenizer(ClipBpe(), 77)(HOSTILE), theirs)
        assert remaining == {text for text in HOSTILE if "\u03a3" in text}  # final sigma

    def test_texts_in_open_clip(self, open_clip, tmp_path, captions):
        assert write(ClipBpe(), tmp_path, "open_clip", 77) == ({}, ())
        theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
        texts = captions + HOSTILE
        ours = make_tokenizer(ClipBpe(), 77)(texts)
        assert different(texts, ours, theirs(texts).numpy()) == set()

    def test_tokenizer_json_alone_does_the_same(self, clip_folder, captions):
        library = tokenizers.Tokenizer.from_file(str(clip_folder / "tokenizer.json"))
        theirs = AutoTokenizer.from_pretrained(clip_folder)
        texts = captions[:500] + HOSTILE
        library.encode_special_tokens = True
        encodings = library.encode_batch(texts)
        assert [encoding.ids for encoding in encodings] == theirs(texts)["input_ids"]

    def test_is_recognised_in_every_form(self, clip_folder, tmp_path):
        assert read_tokenizer(clip_folder) == ClipBpe()
        AutoTokenizer.from_pretrained(clip_folder).save_pretrained(
            tmp_path
        )  # as transformers writes it
        assert read_tokenizer(tmp_path) == ClipBpe()
        old = tmp_path / "old"
        old.mkdir()
        for file in ("vocab.json", "merges.txt"):
            (old / file).write_bytes((clip_folder / file).read_bytes())
        assert read_tokenizer(old) == ClipBpe()

    def test_with_a_token_more_it_is_another(self, clip_folder, tmp_path):
        theirs = AutoTokenizer.from_pretrained(clip_folder, split_special_tokens=False)
        theirs.add_tokens(["<relation>"], special_tokens=True)
        theirs.save_pretrained(tmp_path)
        settings = read_tokenizer(tmp_path)
        assert isinstance(settings, TokenizerJson)
        ours, texts = make_tokenizer(settings, 77), ["a cat <relation> dog", "two dogs"]
        assert (ours.vocabulary_size, ours.end_id) == (49409, END_OF_TEXT)
        assert 49408 in ours(texts)[0]
        np.testing.assert_array_equal(ours(texts), transformers_ids(theirs, texts))


class TestSiglip:
    def test_from_our_files_in_transformers(self, unigram, captions, tmp_path):
        assert write(unigram, tmp_path, "huggingface", 64) == ({}, ())
        theirs = AutoTokenizer.from_pretrained(tmp_path)
        assert (theirs.model_max_length, theirs.pad_token_id, theirs.eos_token_id) == (64, 1, 1)
        texts = captions + HOSTILE
        ours = make_tokenizer(unigram, 64)(texts)
        assert different(texts, ours, transformers_ids(theirs, texts)) == set()
        again = make_tokenizer(read_tokenizer(tmp_path), 64)
        np.testing.assert_array_equal(ours, again(texts))

    def test_from_our_files_in_open_clip(self, unigram, open_clip, captions, tmp_path):
        settings = dataclasses.replace(unigram, clean="open_clip_canonicalize")
        files = write(settings, tmp_path, "open_clip", 64)
        assert files.text_cfg["tokenizer_kwargs"] == {"clean": "canonicalize"}
        theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
        texts = captions + HOSTILE
        ours = make_tokenizer(settings, 64)(texts)
        assert different(texts, ours, theirs(texts).numpy()) == set()
        found = read_tokenizer(tmp_path)
        assert found == dataclasses.replace(settings, file=str(tmp_path / "tokenizer.json"))

    def test_rules_of_transformers_in_open_clip(self, unigram, open_clip, captions, tmp_path):
        """open_clip always mends; otherwise the rule travels within the tokenizer.json."""
        files = write(unigram, tmp_path, "open_clip", 64)
        assert any("mends" in note for note in files.notes)
        theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
        ours, texts = make_tokenizer(unigram, 64), captions + HOSTILE
        mended = [mend(text) for text in texts]
        assert different(texts, ours(mended), theirs(texts).numpy()) == set()

    def test_of_transformers_from_its_own_files(self, captions, tmp_path):
        library = pytest.importorskip("sentencepiece")
        with (tmp_path / "spiece.model").open("wb") as model:
            library.SentencePieceTrainer.train(
                sentence_iterator=iter(captions[:2000]),
                model_writer=model,
                vocab_size=500,
                bos_id=-1,
                pad_id=0,
                eos_id=1,
                unk_id=2,
                hard_vocab_limit=False,
                minloglevel=2,
            )
        (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
        config = {"tokenizer_class": "SiglipTokenizer", "model_max_length": 64}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        settings = read_tokenizer(tmp_path)
        assert (settings.pad_id, settings.clean) == (1, "canonicalize")
        theirs = AutoTokenizer.from_pretrained(tmp_path)
        texts = captions + HOSTILE
        remaining = different(
            texts, make_tokenizer(settings, 64)(texts), transformers_ids(theirs, texts)
        )
        # The tokenizers library normalises whole graphemes, SentencePiece characters; and
        # transformers' class swallows the spaces around special tokens.
        assert remaining <= {"a\u0301\u0302\u0303 zalgo", SPELT_OUT}

    def test_second_version_of_transformers(self, captions, tmp_path):
        trained = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        trained.normalizer = normalizers.Replace(" ", "\u2581")
        trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False)
        trained.train_from_iterator(captions[:2000], trainer)
        model = json.loads(trained.to_str())["model"]
        merges = [tuple(pair) for pair in model["merges"]]
        theirs = Siglip2Tokenizer(
            model["vocab"],
            merges,
            padding_side="right",
            model_max_length=64,
            add_bos_token=False,
            add_eos_token=True,
        )
        theirs.save_pretrained(tmp_path)
        settings = read_tokenizer(tmp_path)
        assert (settings.pad_id, settings.clean) == (0, "lower")
        ours, texts = make_tokenizer(settings, 64), captions + HOSTILE
        assert different(texts, ours(texts), transformers_ids(theirs, texts)) == {SPELT_OUT}


class TestClipa:
    def test_from_our_files_in_open_clip(self, word_pieces, open_clip, captions, tmp_path):
        files = write(word_pieces, tmp_path, "open_clip", 32)
        options = {"clean": "whitespace", "strip_sep_token": True}
        assert files.text_cfg["tokenizer_kwargs"] == options
        theirs = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
        texts = captions + HOSTILE
        ours = make_tokenizer(word_pieces, 32)(texts)
        assert different(texts, ours, theirs(texts).numpy()) == set()
        found = read_tokenizer(tmp_path)
        assert found == dataclasses.replace(word_pieces, file=str(tmp_path / "tokenizer.json"))

    def test_transformers_cannot_zero_a_token(self, word_pieces, tmp_path):
        with pytest.raises(ConversionError, match="cannot turn token 3 into 0"):
            write_tokenizer(word_pieces, tmp_path, "huggingface", 32)

    def test_rules_of_open_clip_in_transformers(self, word_pieces, captions, tmp_path):
        settings = dataclasses.replace(word_pieces, clean="open_clip_lower", zeroed_id=None)
        assert "ftfy" in write(settings, tmp_path, "huggingface", 32).notes[0]
        theirs = AutoTokenizer.from_pretrained(tmp_path)
        assert isinstance(theirs, PreTrainedTokenizerFast)
        texts = captions + HOSTILE
        mended = transformers_ids(theirs, [mend(text) for text in texts])
        assert different(texts, make_tokenizer(settings, 32)(texts), mended) == set()

    def test_tokens_that_were_added_stay_tokens(self, word_pieces, tmp_path):
        library = tokenizers.Tokenizer.from_file(word_pieces.file)
        library.add_special_tokens(["<relation>"])
        library.save(str(tmp_path / "more.json"))
        settings = TokenizerJson("json", str(tmp_path / "more.json"), 0)
        write(settings, tmp_path, "huggingface", 32)
        texts = ["a [SEP] cat <relation> a dog"]
        ours = make_tokenizer(settings, 32)(texts)
        theirs = transformers_ids(AutoTokenizer.from_pretrained(tmp_path), texts)
        assert different(texts, ours, theirs) == set()
        assert library.token_to_id("<relation>") in ours[0]


class TestRefusals:
    def refused(self, folder, message):
        with pytest.raises(ConversionError, match=message):
            read_tokenizer(folder)

    def test_nothing_is_said(self, tmp_path):
        (tmp_path / "config.json").write_text('{"model_type": "clip"}')
        assert read_tokenizer(tmp_path) is None

    @pytest.mark.parametrize(
        ("text_cfg", "message"),
        [
            ({"tokenizer_kwargs": {"reduction_mask": "random"}}, "not supported: reduction_mask"),
            ({"tokenizer_kwargs": {"clean": "canonicalize"}}, "clean 'canonicalize' is not"),
            ({"hf_tokenizer_name": "x", "tokenizer_mode": "clips"}, "supported: tokenizer_mode"),
            (
                {"hf_tokenizer_name": "x", "tokenizer_kwargs": {"clean": "odd"}},
                "clean 'odd' is not",
            ),
            ({"hf_tokenizer_name": "bert"}, r"no tokenizer\.json; put the one of 'bert' there"),
        ],
    )
    def test_options_of_open_clip(self, tmp_path, text_cfg, message):
        config = {"model_cfg": {"text_cfg": text_cfg}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
        self.refused(tmp_path, message)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"pad_token": "</s>", "padding_side": "left"}, "padding_side must be 'right'"),
            ({"pad_token": "[PAD]"}, r"pad_token '\[PAD\]' is no token of tokenizer\.json"),
            ({}, "pad_token '' is no token"),
            ({"tokenizer_class": "SiglipTokenizer", "do_lower_case": False}, "do_lower_case false"),
            ([], "expected a JSON object"),
        ],
    )
    def test_settings_of_transformers(self, unigram, tmp_path, config, message):
        (tmp_path / "tokenizer.json").write_bytes(Path(unigram.file).read_bytes())
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        self.refused(tmp_path, message)

    def test_end_of_text_that_is_not_added(self, unigram, tmp_path):
        content = json.loads(Path(unigram.file).read_text()) | {"post_processor": None}
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        config = {"pad_token": "</s>", "add_eos_token": True}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        self.refused(tmp_path, "add_eos_token is true")

    def test_other_vocabulary_without_tokenizer_json(self, tmp_path):
        (tmp_path / "vocab.json").write_text('{"a": 0}')
        (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
        self.refused(tmp_path, "not CLIP's own; save a tokenizer.json")

    def test_padding_with_a_piece_of_text(self, unigram, tmp_path):
        settings = dataclasses.replace(unigram, pad_id=5)
        with pytest.raises(ConversionError, match=r"pad_id 5 is .* an ordinary piece of text"):
            write_tokenizer(settings, tmp_path, "huggingface", 64)
