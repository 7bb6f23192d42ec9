import json

import pytest

from kgclip_jax.data.readers.structure_clip_captions import structure_clip_captions
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.caption import Caption
from kgclip_jax.knowledge.negatives import NegativeSettings, make_negatives
from kgclip_jax.knowledge.triples import from_triples
from kgclip_jax.random import generator
from tests.knowledge.worded import worded

CAPTION = worded("A {red|0} {dog|#0} {on|0>1} an {old|1} {sofa|#1}")
PAIRED = {
    "image": "train2014/1.jpg",
    "text": CAPTION.text,
    "triples": [["dog", "on", "sofa"]],
    "pairs": [["red", "dog"], ["old", "sofa"]],
    "neg_text": "a stale one",
}
UNIFIED = {
    "image_path": "train2014/1.jpg",
    "true_caption": CAPTION.text,
    "false_caption": "a stale one",
    "true_triples": [["dog", "on", "sofa"], ["dog", "is", "red"], ["sofa", "is", "old"]],
    "false_triples": [],
}


@pytest.mark.parametrize("entry", [PAIRED, UNIFIED])
def test_both_layouts_give_the_same_graph(tmp_path, entry):
    path = tmp_path / "train.json"
    path.write_text(json.dumps([entry]))
    ((image, text, triples),) = structure_clip_captions(path)
    assert (image, text) == ("train2014/1.jpg", CAPTION.text)
    caption = Caption(text, from_triples(text, triples))
    assert caption == CAPTION
    (negative,) = make_negatives(caption, generator(0, "test"), NegativeSettings())
    assert negative.text == "An old dog on a red sofa"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (PAIRED | {"text": None}, r"\[0\] has no 'text' of type str"),
        (PAIRED | {"triples": None}, r"expected a list under '\[0\]\.triples'"),
        (PAIRED | {"pairs": [["red"]]}, r"\[0\]\.pairs\[0\] is not a list of 2 strings"),
        (PAIRED | {"pairs": ["ab"]}, r"\[0\]\.pairs\[0\] is not a list of 2 strings"),
        (PAIRED | {"triples": [["a", "b", 3]]}, r"triples\[0\] is not a list of 3 strings"),
        (UNIFIED | {"image_path": 5}, r"\[0\] has no 'image_path' of type str"),
        (UNIFIED | {"true_triples": 5}, r"expected a list under '\[0\]\.true_triples'"),
    ],
)
def test_malformed_entries_are_named(tmp_path, entry, message):
    path = tmp_path / "train.json"
    path.write_text(json.dumps([entry]))
    with pytest.raises(DataError, match=rf"train\.json: .*{message}"):
        list(structure_clip_captions(path))
