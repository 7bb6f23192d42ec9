import dataclasses

import pytest

from kgclip_jax.data.sources import SOURCES
from kgclip_jax.errors import ConfigError
from kgclip_jax.schema import parse, to_dict

KINDS = {
    "photographs": {"split": "train2017", "evaluation_split": "val2017"},
    "karpathy": {"file": "dataset_coco.json", "evaluation_split": "test"},
    "visual_genome": {},
    "webdataset": {"shards": "{00000..00330}.tar", "evaluation_shards": "00331.tar"},
    "tfds": {"dataset": "coco_captions", "split": "train+restval", "evaluation_split": "val"},
    "array_record": {"evaluation_folder": "held_out"},
}
HELD_OUT = {
    "photographs": {"split": "val2017"},
    "karpathy": {"split": "test"},
    "webdataset": {"shards": "00331.tar"},
    "tfds": {"split": "val"},
    "array_record": {"folder": "held_out"},
}


def source(kind, **fields):
    return parse(SOURCES.find(kind, "source"), {"kind": kind, **fields}, "source")


def test_there_is_a_case_for_every_kind():
    assert [kind for kind in SOURCES.places if kind != "emoji"] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_survive_being_written_down(kind):
    settings = source(kind, folder="here", crop_scale=[0.5, 1.0], weight=2, **KINDS[kind])
    assert (settings.folder, settings.crop_scale, settings.weight) == ("here", (0.5, 1.0), 2.0)
    assert source(**to_dict(settings)) == settings


@pytest.mark.parametrize("kind", KINDS)
def test_the_part_to_evaluate_on_differs_in_one_setting(kind):
    settings = source(kind, **KINDS[kind])
    if kind in HELD_OUT:
        assert settings.held_out() == dataclasses.replace(settings, **HELD_OUT[kind])
        fields = {k: v for k, v in KINDS[kind].items() if not k.startswith("evaluation")}
        settings = source(kind, **fields)
    assert settings.held_out() is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, r"crop_scale\[0\] must be above 0"),
        ({"crop_scale": (0.9, 0.5)}, "crop_scale must ascend"),
        ({"crop_scale": (0.5, 1.1)}, r"crop_scale\[1\] must be at most 1"),
        ({"weight": 0}, "weight must be above 0"),
        ({"weight": float("nan")}, "weight must be finite"),
        ({"folders": "x"}, "did you mean folder"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, message):
    for kind in KINDS:
        with pytest.raises(ConfigError, match=rf"source.*{message}"):
            source(kind, **KINDS[kind], **fields)


def test_kinds_are_listed():
    with pytest.raises(ConfigError, match="no source of kind 'photograph'; did you mean"):
        source("photograph")
