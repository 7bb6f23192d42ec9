"""Models on the hub, which a folder stands for here: what is fetched of them."""

import shutil
import sys

import pytest
import torch

from kgclip_jax.convert.hub import is_hub_id
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.errors import ConversionError
from tests.convert.saved_twins import as_folder, assert_is, write_files
from tests.convert.twins import huggingface_clip, open_clip_twin


class FakeHub:
    """Gives what patterns ask for, as `snapshot_download` does."""

    def __init__(self, repository, cache):
        self.repository, self.cache = repository, cache

    def __call__(self, name, allow_patterns):
        assert name == "someone/model"
        self.cache.mkdir(exist_ok=True)
        for pattern in allow_patterns:
            for path in self.repository.glob(pattern):
                shutil.copy(path, self.cache)
        return str(self.cache)


@pytest.fixture
def clip():
    return huggingface_clip()


@pytest.fixture
def vit():
    """Of another preprocessing than `clip`."""
    return open_clip_twin()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "special_tokens_map.json").write_text("{}")
    (folder / "training_state.bin").write_text("large")
    monkeypatch.setattr("huggingface_hub.snapshot_download", FakeHub(folder, tmp_path / "got"))
    return folder


@pytest.fixture
def got(tmp_path):
    return lambda: {path.name for path in (tmp_path / "got").iterdir()}


@pytest.mark.parametrize("prefix", ["", "hf-hub:"])
def test_only_what_is_needed(clip, repository, got, prefix):
    as_folder(clip, repository)
    torch.save(clip.model.state_dict(), repository / "pytorch_model.bin")
    assert_is(open_pretrained(f"{prefix}someone/model"), clip)
    assert got() == {*clip.files, "special_tokens_map.json", "model.safetensors"}


def test_one_library_of_two(clip, vit, repository, got):
    as_folder(vit, as_folder(clip, repository))
    assert_is(open_pretrained("hf-hub:someone/model"), vit)
    assert "model.safetensors" not in got()
    assert_is(open_pretrained("someone/model"), clip)


def test_parts(clip, repository):
    write_safetensors(write_files(clip, repository), clip.weights(), "model", max_bytes=20_000)
    assert_is(open_pretrained("someone/model"), clip)


def test_pickles_where_there_is_nothing_else(clip, repository):
    torch.save(clip.model.state_dict(), write_files(clip, repository) / "pytorch_model.bin")
    assert_is(open_pretrained("someone/model"), clip)


def test_a_folder_comes_first(clip, repository, tmp_path, monkeypatch):
    (tmp_path / "someone").mkdir()
    as_folder(clip, tmp_path / "someone" / "model")
    monkeypatch.chdir(tmp_path)
    assert_is(open_pretrained("someone/model"), clip)
    assert not (tmp_path / "got").exists()


def refused(source, message):
    with pytest.raises(ConversionError, match=message):
        open_pretrained(source)


def test_no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("someone/absent-model", "no folder someone/absent-model is here, and it can")


@pytest.fixture
def no_hub(monkeypatch):
    def unreachable(*_, **__):
        raise AssertionError("looked up on the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)


def test_what_looks_like_a_path_is_not_looked_up(no_hub):
    for source in (
        *("someone/model.safetensors", "hf-hub:someone/model.pth", "local-dir:someone/model"),
        *("runs/model", "./someone/model", "someone/model/checkpoints", "/someone/model"),
        *("~/model", "model"),
    ):
        refused(source, f"^{source} is not there: no such file or folder$")


def test_the_home_folder_is_known(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    as_folder(clip, tmp_path / "model")
    assert_is(open_pretrained("~/model"), clip)


def test_an_existing_parent_means_a_folder(clip, repository, tmp_path, monkeypatch):
    (tmp_path / "someone").mkdir()
    monkeypatch.chdir(tmp_path)
    as_folder(clip, repository)
    refused("someone/model", "someone is a folder without model; .* write hf-hub:someone/model$")
    assert not (tmp_path / "got").exists()
    assert_is(open_pretrained("hf-hub:someone/model"), clip)


def test_descriptions_without_weights(clip, repository):
    write_files(clip, repository)
    refused("someone/model", "no folder someone/model is here, and none .* model.safetensors, ")


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("someone/model", "pip install huggingface_hub")


@pytest.mark.parametrize(
    ("source", "is_id"),
    [("a/b", True), ("openai/clip-vit_b.32", True), ("a", False), ("a/b/c", False)],
)
def test_names(source, is_id):
    assert is_hub_id(source) == is_id
    assert not is_hub_id(f"./{source}")
    assert not is_hub_id(f"../{source}")
