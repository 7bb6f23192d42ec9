"""Wrong captions as authors publish them: read, checked, refused by name."""

import json

import numpy as np
import pytest

from kgclip_jax.data.readers.listed_captions import read_listed
from kgclip_jax.errors import DataError
from kgclip_jax.knowledge.triples import from_triples

CE_CLIP = {
    "caption": "a red dog runs by a cat and a cow",
    "relation_aug_caption": "a red cat runs by a dog and a cow",
    "adj_aug_caption": "a blue dog runs by a cat and a cow",
    "noun_aug_caption": "a red fox runs by a cat and a cow",
    "verb_aug_caption": "a red dog sleeps by a cat and a cow",
    "valid_caption": [1, 1, 1, 1, 1],
}


def written(path, *entries):
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.parametrize("fields", [("text", "neg_text"), ("true_caption", "false_caption")])
def test_structure_clip_without_what_is_left_over_of_another_caption(tmp_path, fields):
    pairs = [("a man rides horses", "a horses rides man"), ("a bird", "a horses rides man")]
    path = written(tmp_path / "x.json", *(dict(zip(fields, pair, strict=True)) for pair in pairs))
    first, second = read_listed(path)
    assert [wrong.text for wrong in first.wrong] == ["a horses rides man"]
    assert (second.caption, second.wrong, second.missing) == ("a bird", (), 1)


def test_structure_clip_with_scene_graphs(tmp_path):
    entry = {
        "true_caption": "a red cat &amp; a dog",
        "false_caption": "a red dog &amp; a cat",
        "false_triples": [["dog", "is", "red"]],
    }
    ((found,),) = [entry.wrong for entry in read_listed(written(tmp_path / "x.json", entry))]
    assert found.text == "a red dog & a cat"
    assert found.graph == from_triples(found.text, [("dog", "is", "red")])
    bad = entry | {"false_triples": [["dog", "red"]]}
    with pytest.raises(DataError, match=r"\[0\]\.false_triples\[0\] is not a list of 3 strings"):
        list(read_listed(written(tmp_path / "x.json", bad)))


def test_negclip(tmp_path):
    path = tmp_path / "train_neg_clip.tsv"
    path.write_text(
        "\ttitle\tfilepath\tneg_caption\tneg_image\n"
        "0\tA stack of banana's\tval2014/1.jpg\t[\"A banana of stack 's\", 'b']\t[3, 1, 2]\n"
        "1\ta bird\tval2014/2.jpg\t[]\t[3, 1, 2]\n"
    )
    first, second = read_listed(path)
    assert [wrong.text for wrong in first.wrong] == ["A banana of stack 's", "b"]
    assert (second.wrong, second.missing) == ((), 1)


def kinds(entry):
    return [wrong.kind.removeprefix("listed_") for wrong in entry.wrong], entry.missing


def test_ce_clip_without_placeholders(tmp_path):
    bare = {"relation_aug_caption": "###", "adj_aug_caption": ".", "valid_caption": [1, 0, 1, 1, 0]}
    path = written(tmp_path / "x.json", CE_CLIP, CE_CLIP | bare)
    whole, partial = read_listed(path)
    assert kinds(whole) == (["relation", "adjective", "noun", "verb"], 0)
    assert kinds(partial) == (["noun"], 3)


def test_an_array_of_named_fields(tmp_path):
    types = [(field, "U50") for field in CE_CLIP if field != "valid_caption"]
    row = (*[value for value in CE_CLIP.values() if isinstance(value, str)], [1, 1, 0, 1, 1])
    np.save(tmp_path / "x.npy", np.array([row], [*types, ("valid_caption", "i4", 5)]))
    (entry,) = read_listed(tmp_path / "x.npy")
    assert kinds(entry) == (["relation", "noun", "verb"], 1)


def test_pickles_are_refused_with_a_way_out(tmp_path):
    with (tmp_path / "processed_dataset0.npy").open("wb") as file:
        np.save(file, [CE_CLIP])  # as the released code does
    with pytest.raises(DataError, match=r"holds a pickle(.|\n)*json.dump.*dataset0.json"):
        list(read_listed(tmp_path / "processed_dataset0.npy"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "", "are in .json, .tsv or .npy, not '.csv'"),
        ("x.tsv", "title\tneg_caption\na\t__import__('os')\n", "line 2.neg_caption is not a list"),
        ("x.tsv", "title\tneg_caption\na\t[1]\n", "line 2.neg_caption is not a list of strings"),
        ("x.tsv", "title\tneg\na\tb\n", "line 2 has no 'neg_caption'"),
        ("x.tsv", "title\tneg_caption\na\t" + "[" * 9999 + "\n", "line 2.neg_caption is not a"),
        ("x.json", '[{"text": "a"}]', r"\[0\] has no wrong caption"),
        ("x.json", '[{"text": "a", "neg_text": 1}]', r"\[0\] has no 'neg_text' of type str"),
        ("x.json", json.dumps([CE_CLIP | {"valid_caption": [1]}]), r"\[0\].valid_caption is not"),
        ("x.npy", "not an array", "x.npy: "),
    ],
)
def test_mistakes_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(read_listed(tmp_path / name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent.tsv: No such file"):
        list(read_listed(tmp_path / "absent.tsv"))
