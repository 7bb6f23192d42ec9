"""What checkpoints say of the model inside them, and which models are the same."""

import json
from dataclasses import replace

import pytest

from kgclip_jax.data.tokenization.tokenizer_config import ClipBpe, Tokenizers, make_tokenizer
from kgclip_jax.errors import CheckpointError
from kgclip_jax.models.adapters import Lora
from kgclip_jax.models.classifier import ClassifierHead
from kgclip_jax.models.heads import heads_from
from kgclip_jax.models.presets import preset
from kgclip_jax.models.spec import KnowledgeEncoder, Transformer
from kgclip_jax.models.transformer import Execution
from kgclip_jax.store.description import check_same, describe, read_description
from tests.convert.small_models import piece_tokenizer

TINY = preset("tiny")
BLOCKS = Transformer(width=16, depth=1, heads=2, mlp_width=24)
READER = replace(
    TINY,
    knowledge=KnowledgeEncoder(BLOCKS, element_length=4, elements="wordpiece", vocabulary=62),
)


def through_json(description):
    return json.loads(json.dumps(description))


def refused(saved, new):
    with pytest.raises(CheckpointError, match=r"^run/1 holds another model:\n") as refusal:
        check_same("run/1", through_json(saved), new)
    return [line.strip() for line in str(refusal.value).splitlines()[1:]]


def test_all_that_loading_needs_is_read_back(tmp_path):
    pieces = piece_tokenizer(tmp_path)
    adapters, execution = {"text": Lora(2, targets=("mlp/up",))}, Execution("bfloat16")
    head = ClassifierHead(classes=3)
    saved = describe(
        READER,
        Tokenizers(elements=pieces),
        parser="en_mine",
        adapters=adapters,
        heads={"classifier": head},
        execution=execution,
    )
    read = read_description(through_json(saved | {"items": ["model"]}), "run/1")
    assert (read.model, read.tokenizers) == (READER, Tokenizers(elements=pieces))
    assert (read.parser, read.adapters, read.execution) == ("en_mine", adapters, execution)
    assert heads_from(read.heads) == {"classifier": head}
    assert read.fingerprints == {
        "text": make_tokenizer(ClipBpe(), 32).fingerprint,
        "elements": make_tokenizer(pieces, 4).fingerprint,
    }


def test_what_a_model_does_not_use_is_left_out(tmp_path):
    pieces = piece_tokenizer(tmp_path)
    with_pieces = describe(TINY, Tokenizers(elements=pieces), parser="en_mine")
    assert with_pieces == describe(TINY, Tokenizers())


def test_what_is_younger_than_a_checkpoint_had_its_default():
    older = describe(TINY, Tokenizers())
    del older["model"]["knowledge"], older["adapters"], older["execution"]["microbatches"]
    assert read_description(older, "run/1").model == TINY
    check_same("run/1", older, describe(TINY, Tokenizers()))


def test_a_model_of_another_version_is_refused():
    younger = describe(TINY, Tokenizers())
    younger["model"]["frobnicate"] = True
    with pytest.raises(CheckpointError, match=r"run/1 holds a model of another version: .*frobnic"):
        read_description(younger, "run/1")


def test_another_model_is_refused_with_a_diff():
    lines = refused(describe(TINY, Tokenizers()), describe(preset("quickstart"), Tokenizers()))
    assert "model.vision.image_size: 16 in the checkpoint, 32 here" in lines
    assert not any("patch_size" in line for line in lines)  # both have 8


def test_other_adapters_tokenizers_and_whatever_else_is_described_are_refused():
    saved = describe(TINY, Tokenizers(), adapters={"text": Lora(2)})
    new = describe(TINY, Tokenizers(), adapters={"text": Lora(4)})
    saved |= {"fingerprints": {"text": "other"}, "streams": {"captions": "a1"}}
    assert refused(saved, new | {"streams": {"captions": "b2"}}) == [
        "adapters.text.rank: 2 in the checkpoint, 4 here",
        f"fingerprints.text: 'other' in the checkpoint, {new['fingerprints']['text']!r} here",
        "streams.captions: 'a1' in the checkpoint, 'b2' here",
    ]


def test_files_may_have_moved_and_computing_may_go_another_way(tmp_path):
    both = []
    for name, execution in [("one", Execution()), ("two", Execution("bfloat16", remat="full"))]:
        (tmp_path / name).mkdir()
        pieces = piece_tokenizer(tmp_path / name)
        both.append(describe(READER, Tokenizers(pieces, pieces), execution=execution))
    check_same("run/1", through_json(both[0] | {"items": ["model"]}), both[1])
