"""Descriptions and tokenizer files in which any setting has a value of any type."""

import copy
import json
import math

import pytest

from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.tokenizer_files import read_tokenizer
from kgclip_jax.errors import ConversionError, UserError
from tests.convert.saved_twins import as_folder
from tests.convert.small_models import word_tokenizer
from tests.convert.twins import TWINS, know_tiny_trunks

ODD = (None, 0, -1.5, "x", [], [None], {"a": 1}, math.nan)
FAMILIES = (
    "Hugging Face CLIP, gelu",
    "Hugging Face SigLIP",
    "open_clip ViT, quick_gelu",
    "open_clip SigLIP",
)


@pytest.fixture(autouse=True)
def _tiny_trunks(monkeypatch):
    know_tiny_trunks(monkeypatch)


def places(value, path=()):
    """The paths of a JSON value and of all in it."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from places(item, (*path, key))


def put(value, path, new):
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


def refusals(file, read):
    """Read a folder after each change to one of its files; return those that are refused."""
    content = json.loads(file.read_text())
    refused = 0
    for path in places(content):
        for new in ODD:
            file.write_text(json.dumps(put(content, path, new)))
            try:
                read(file.parent)
            except UserError:
                refused += 1
    file.write_text(json.dumps(content))
    return refused


@pytest.mark.parametrize("name", FAMILIES)
def test_descriptions_are_read_or_refused(name, tmp_path):
    twin = TWINS[name]()
    folder = as_folder(twin, tmp_path / "model")
    for file in twin.files:
        assert refusals(folder / file, open_pretrained) > 10


def test_tokenizer_files_are_read_or_refused(tmp_path):
    word_tokenizer(tmp_path)
    (tmp_path / "words.json").rename(tmp_path / "tokenizer.json")
    config = {
        "tokenizer_class": "SiglipTokenizer",
        "pad_token": {"content": "</s>"},
        "sep_token": "</s>",
        "padding_side": "right",
        "add_eos_token": True,
        "do_lower_case": True,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
    for name in ("tokenizer_config.json", "config.json", "tokenizer.json"):
        assert refusals(tmp_path / name, read_tokenizer) > 3
    options = {"clean": "whitespace", "strip_sep_token": True}
    text = {"hf_tokenizer_name": "a/b", "tokenizer_kwargs": options, "tokenizer_mode": None}
    open_clip = tmp_path / "open_clip_config.json"
    open_clip.write_text(json.dumps({"model_cfg": {"text_cfg": text}}))
    assert refusals(open_clip, read_tokenizer) > 10


def test_null_means_the_default_of_the_family(tmp_path):
    folder = as_folder(TWINS["Hugging Face SigLIP"](), tmp_path / "model")
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text()) | {"image_mean": None, "image_std": None}
    file.write_text(json.dumps(settings))
    vision = open_pretrained(folder).shape.vision
    assert (vision.mean, vision.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("name", FAMILIES[:3])
def test_no_number_is_divided_by_zero(name, tmp_path):
    twin = TWINS[name]()
    folder = as_folder(twin, tmp_path / "model")
    huggingface = name.startswith("Hugging")
    file = folder / ("preprocessor_config.json" if huggingface else "open_clip_config.json")
    path = ("image_std",) if huggingface else ("preprocess_cfg", "std")
    file.write_text(json.dumps(put(json.loads(file.read_text()), path, [0, 0, 0])))
    with pytest.raises(ConversionError, match=rf"^{folder}: .*vision\.std\[0\] must be above 0"):
        open_pretrained(folder)


@pytest.mark.parametrize("kind", ["clip_text_model", "siglip_vision_model"])
def test_one_tower_alone_is_called_that(kind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ConversionError, match="one tower alone; give the folder of the whole"):
        open_pretrained(tmp_path)
