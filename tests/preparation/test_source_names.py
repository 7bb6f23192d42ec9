"""Sources as they are named on a command line."""

import pytest

from kgclip_jax.data.sources import (
    KarpathySource,
    PhotographSource,
    VisualGenomeSource,
    WebdatasetSource,
)
from kgclip_jax.errors import ConfigError
from kgclip_jax.preparation.source_names import KINDS, identity, named_source


def test_a_kind_and_a_folder_are_enough():
    assert named_source("photographs:a/b:c") == PhotographSource(kind="photographs", folder="a/b:c")
    assert named_source("visual_genome") == VisualGenomeSource(kind="visual_genome")


def test_other_settings_are_assigned():
    assert named_source("karpathy:coco", ["file=dataset.json", "split=2014"]) == KarpathySource(
        kind="karpathy", folder="coco", file="dataset.json", split="2014"
    )
    assert named_source("webdataset", ["shards={00..09}.tar", "folder=a=b"]) == WebdatasetSource(
        kind="webdataset", shards="{00..09}.tar", folder="a=b"
    )


def test_none_is_nothing_where_there_may_be_nothing():
    assert named_source("photographs", ["split=None"]).split is None
    assert named_source("karpathy", ["file=x", "split=None"]).split == "None"


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        ("photograph:x", [], "kind 'photograph'; did you mean photographs?"),
        (
            "emoji:x",
            [],
            "known here: array_record, karpathy, photographs, tfds, vis",
        ),
        ("karpathy:x", [], "karpathy.file is not set"),
        ("photographs:x", ["splitt=a"], "no setting 'splitt' here; did you mean split?"),
        ("photographs:x", ["weight=2"], "no setting 'weight' here; known here: caption_column"),
        ("photographs:x", ["evaluation_split=dev"], "no setting 'evaluation_split' here"),
        ("photographs:x", ["kind=tfds"], "no setting 'kind' here"),
        ("photographs:x", ["split"], "'split' must be KEY=VALUE"),
        ("photographs:x", ["folder=y"], "photographs.folder is given twice"),
    ],
)
def test_mistakes_are_named(name, assignments, message):
    with pytest.raises(ConfigError) as error:
        named_source(name, assignments)
    assert message in str(error.value)


def test_only_what_decides_on_the_records_is_remembered():
    source = PhotographSource(kind="photographs", weight=2.0, crop_scale=(0.5, 1.0))
    unset = dict.fromkeys(("file", "image_column", "caption_column", "caption_per_line"))
    assert identity(source) == {"kind": "photographs", "folder": ".", "split": "train"} | unset


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_named(kind):
    needed = {"karpathy": ["file=x"], "tfds": ["dataset=x"]}.get(kind, [])
    assert isinstance(named_source(f"{kind}:folder", needed), KINDS[kind])
