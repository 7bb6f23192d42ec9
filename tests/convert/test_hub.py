"""Models on the hub, which a folder stands for here: what is fetched of them."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

from kgclip_jax.convert.hub import is_hub_id, with_commit
from kgclip_jax.convert.pretrained import open_pretrained
from kgclip_jax.convert.weights import write_safetensors
from kgclip_jax.errors import ConfigError, ConversionError
from tests.convert.saved_twins import as_folder, assert_is, write_files
from tests.convert.twins import huggingface_clip, open_clip_twin

COMMIT, OTHER = "0123456789" * 4, "abcde01234" * 4


class FakeHub:
    """Gives what patterns ask for, as `snapshot_download` does; its branch can be moved on."""

    def __init__(self, repository, cache):
        self.repository, self.cache = repository, cache
        self.main = COMMIT

    def __call__(self, name, revision, allow_patterns):
        assert name == "someone/model"
        commit = self.main if revision in (None, "main") else revision
        folder = self.cache / commit
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in allow_patterns:
            for path in self.repository.glob(pattern):
                shutil.copy(path, folder)
        return str(folder)


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
    hub = FakeHub(folder, tmp_path / "got")
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub)
    return folder


@pytest.fixture
def got(tmp_path):
    return lambda: {path.name for path in (tmp_path / "got").rglob("*") if path.is_file()}


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


@pytest.mark.parametrize("prefix", ["", "hf-hub:"])
@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}", f"@{OTHER}"])
def test_what_was_opened_has_the_name_of_its_commit(clip, repository, prefix, revision):
    as_folder(clip, repository)
    opened = open_pretrained(f"{prefix}someone/model{revision}")
    commit = OTHER if revision.endswith(OTHER) else COMMIT
    assert opened.origin == f"{prefix}someone/model@{commit}"


def test_weights_are_of_the_commit_of_their_description(clip, repository, monkeypatch):
    """Even where the branch moves between the two downloads."""
    import huggingface_hub

    as_folder(clip, repository)
    hub = huggingface_hub.snapshot_download

    def moving(*arguments, **options):
        folder = hub(*arguments, **options)
        hub.main = OTHER
        return folder

    monkeypatch.setattr(huggingface_hub, "snapshot_download", moving)
    opened = open_pretrained("someone/model")
    assert opened.origin == f"someone/model@{COMMIT}"
    assert_is(opened, clip)


@pytest.mark.parametrize(
    ("name", "known", "same"),
    [
        ("a/b", f"a/b@{COMMIT}", True),
        ("a/b@main", f"a/b@{COMMIT}", True),
        ("hf-hub:a/b", f"hf-hub:a/b@{COMMIT}", True),
        ("hf-hub:a/b", f"a/b@{COMMIT}", False),
        ("a/c", f"a/b@{COMMIT}", False),
        (f"a/b@{OTHER}", f"a/b@{COMMIT}", False),
        ("a/b", "a/b@main", False),
        ("~/model", "/home/me/model", False),
    ],
)
def test_names_with_a_commit(name, known, same):
    assert with_commit(name, known) == (known if same else name)


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
        *("local-dir:runs/model", "./someone/model", "someone/model/checkpoints", "/someone/model"),
        *("~/model", "model"),
    ):
        refused(source, f"^{source} is not there: no such file or folder$")


@pytest.mark.parametrize(
    ("run", "command"),
    [
        ("runs/quickstart", "--config=configs/quickstart.py"),
        ("runs/emoji_structure-base", "--config=configs/emoji_structure.py:base"),
        ("runs/mine", "--config=CONFIG --workdir=runs/mine"),
    ],
)
def test_a_run_that_is_not_there_must_be_trained_first(no_hub, run, command, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    refused(run, f"^{run} is not there; train it first: python launch/train.py {command}$")


def test_the_home_folder_is_known(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    as_folder(clip, tmp_path / "model")
    assert_is(open_pretrained("~/model"), clip)


@pytest.mark.parametrize("source", ["~nobody-of-that-name/model", "gs://bucket/model"])
def test_paths_of_no_file_system_here(no_hub, source):
    with pytest.raises(ConfigError, match=source.split("/")[0]):
        open_pretrained(source)


def test_an_existing_parent_means_a_folder(clip, repository, tmp_path, monkeypatch):
    (tmp_path / "someone").mkdir()
    monkeypatch.chdir(tmp_path)
    as_folder(clip, repository)
    refused("someone/model", "someone is a folder without model; .* write hf-hub:someone/model$")
    assert not (tmp_path / "got").exists()
    assert_is(open_pretrained("hf-hub:someone/model"), clip)


def test_descriptions_without_weights(clip, repository):
    write_files(clip, repository)
    refused(
        "someone/model",
        rf"no folder someone/model@{COMMIT} is here, and none .* model.safetensors, ",
    )


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("someone/model", "pip install huggingface_hub")


@pytest.mark.parametrize(
    ("source", "is_id"),
    [
        ("a/b", True),
        ("a/b@refs/pr/1", True),
        ("a/b@", False),
        ("openai/clip-vit_b.32", True),
        ("a", False),
        ("a/b/c", False),
    ],
)
def test_names(source, is_id):
    assert is_hub_id(source) == is_id
    assert not is_hub_id(f"./{source}")
    assert not is_hub_id(f"../{source}")
