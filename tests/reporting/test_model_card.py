"""The model card says what is so, and nothing about the machine of the training."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from kgclip_jax.convert.export import Contents
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.evaluation.result import Result, to_json
from kgclip_jax.models.presets import preset
from kgclip_jax.reporting.model_card import Card, model_card, public

RESULTS = [
    Result("retrieval", "scenes|dev", "text-to-image R@1", 0.5123, 0.468, 0.556, 1500, 0.002),
    Result("composition", "swaps", "text", 0.66, 0.6, 0.7, 80, 0.5),
    Result("composition", "swaps", "text", 0.51, 0.45, 0.6, 80, 0.5, blind=True),
    Result("zero-shot", "Löwen", "top-1", 0.00001, 0.0, 0.3, 80, 0.1),
]
CARD = Card(
    name="löwe 🦁",
    step=1200,
    config={
        "data": {"path": "/home/me/x"},
        "streams": {
            "first": {
                "sources": {
                    "a": {"kind": "emoji"},
                    "b": {"kind": "photographs", "folder": ".", "split": "train"},
                    "c": {"kind": "webdataset", "folder": "../cc3m/", "shards": "{00..09}.tar"},
                    "d": {"kind": "karpathy", "folder": "/data/x/coco", "file": "/me/coco.json"},
                }
            },
            "second": {"sources": {"e": {"kind": "photographs", "folder": "all", "split": None}}},
            "third": {},
        },
        "total_steps": 1200,
        "init_from": "/scratch/me/base",
    },
    evaluation={"step": 1200, "averaged": False, "results": to_json(RESULTS)},
    license="apache-2.0",
)
CONTENTS = Contents("huggingface", preset("tiny"), 1234567)


def section(text, title):
    return text.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def front(card, contents=CONTENTS):
    """The values that machines read, as the hub's own library finds them."""
    return ModelCard(model_card(card, contents)).data


@pytest.mark.parametrize(
    ("format", "library"),
    [("huggingface", "transformers"), ("open_clip", "open_clip"), ("openai", None)],
)
def test_machines_read_licence_library_and_task(format, library):
    data = front(CARD, CONTENTS._replace(format=format))
    assert (data.license, data.library_name) == ("apache-2.0", library)
    assert data.pipeline_tag == "zero-shot-image-classification"
    assert data.tags == ["clip", "kgclip_jax"]
    assert "\n---\n\n# löwe 🦁\n\n" in model_card(CARD, CONTENTS)


def test_machines_read_the_results_that_the_hub_has_a_place_for():
    data = front(CARD)
    rows = [
        (row.task_type, row.dataset_type, row.metric_type, row.metric_name, row.metric_value)
        for row in data.eval_results
    ]
    assert rows == [
        ("image-text-retrieval", "scenes-dev", "recall", "text-to-image R@1", 0.5123),
        ("image-text-matching", "swaps", "accuracy", "text", 0.66),
        ("zero-shot-image-classification", "löwen", "accuracy", "top-1", 0.0),
    ]
    assert data.eval_results[0].dataset_name == "scenes|dev"
    assert (data.model_name, data.metrics) == ("löwe 🦁", ["accuracy", "recall"])


def test_machines_are_told_nothing_that_is_not_known():
    bare = front(Card("---", 0, {})).to_dict()
    assert set(bare) == {"license", "tags", "pipeline_tag", "library_name"}
    graphs = {"streams": {"captions": {"sources": {"vg": {"kind": "visual_genome"}}}}}
    assert front(Card("vg", 0, graphs)).datasets == ["ranjaykrishna/visual_genome"]


@pytest.mark.parametrize(
    ("source", "mixed", "named"),
    [
        ("/scratch/me/base", None, None),
        ("org/base", None, ["org/base"]),
        ("hf-hub:org/base", ("org/other", 0.5), ["org/base", "org/other"]),
        ("org/base", ("org/base", 0.5), ["org/base"]),
        (f"org/base@{'01' * 20}", ("hf-hub:org/base@main", 0.5), ["org/base"]),
        ("tests/convert", None, None),
        ("runs/of_another_machine", None, None),
        (None, None, None),
    ],
)
def test_starting_models_on_the_hub_are_linked(source, mixed, named, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])  # where tests/convert is a folder
    card = replace(CARD, config=CARD.config | {"init_from": source}, mixed_with=mixed)
    assert front(card).base_model == named


def test_identifiers_of_the_hub_are_taken():
    for license in ("mit", "cc-by-4.0", "openrail++"):
        assert front(replace(CARD, license=license)).license == license


@pytest.mark.parametrize("license", ["", "MIT", "CC BY 4.0", "mit\n", 'mit"'])
def test_other_licences_are_refused(license):
    with pytest.raises(ConfigError, match=r"is no licence of the Hugging Face hub.*apache-2\.0"):
        replace(CARD, license=license)


def test_metrics_come_with_interval_chance_blind_rows_and_sample_size():
    rows = section(model_card(CARD, CONTENTS), "Evaluation").splitlines()
    assert rows[2:8] == [
        "| metric | % (95 % interval) | chance | n |",
        "| --- | ---: | ---: | ---: |",
        "| **retrieval: scenes/dev** |  |  |  |",
        "| text-to-image R@1 | 51.2 (46.8 - 55.6) | 0.2 | 1,500 |",
        "| **composition: swaps** |  |  |  |",
        "| text | 66.0 (60.0 - 70.0) | 50.0 | 80 |",
    ]
    assert rows[8] == "| text, blind | 51.0 (45.0 - 60.0) | 50.0 | 80 |"


@pytest.mark.parametrize(
    "change",
    [{"step": 40}, {"averaged": True}, {"mixed_with": ("org/base", 0.5)}, {"evaluation": None}],
)
def test_metrics_of_other_weights_are_not_claimed(change):
    card = replace(CARD, **change)
    text = section(model_card(card, CONTENTS), "Evaluation")
    assert text == "These weights were not evaluated."
    assert front(card).eval_results is None


def test_metrics_are_of_the_exported_weights():
    rows = [*RESULTS[1:2], replace(RESULTS[1], value=0.75, weights="average")]
    card = replace(CARD, evaluation={"step": 1200, "results": to_json(rows)})
    values = [front(replace(card, averaged=averaged)).eval_results for averaged in (False, True)]
    assert [[row.metric_value for row in rows] for rows in values] == [[0.66], [0.75]]


def test_an_evaluation_of_another_version_is_refused():
    strange = replace(CARD, evaluation=CARD.evaluation | {"results": [{"task": "retrieval"}]})
    with pytest.raises(DataError, match="evaluate again"):
        model_card(strange, CONTENTS)


def test_recipe_and_sources_are_told_without_the_machine_s_folders():
    text = model_card(CARD, CONTENTS)
    assert '"total_steps": 1200' in section(text, "Recipe")
    assert '"path": "x"' in text
    assert "Training began from `base`" in text
    assert not any(trace in text for trace in ("/home", "/scratch", "../"))
    data = section(text, "Data").splitlines()
    assert data[0].startswith("- a (emoji); drawings: Noto Emoji by Google (Apache-2.0)")
    assert data[1:5] == [
        "- b (photographs, folder `x`, split `train`)",
        "- c (webdataset, folder `cc3m`, shards `{00..09}.tar`)",
        "- d (karpathy, folder `coco`, file `coco.json`)",
        "- e (photographs, folder `all`)",
    ]
    assert data[-1] == "What `base` was trained on before is not known here."


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"path": "/home/me/x"}, {"path": "x"}),
        ({"path": "../../home/x/"}, {"path": "x"}),
        ({"path": "home/me/x"}, {"path": "x"}),
        ({"path": "~/x"}, {"path": "x"}),
        ({"path": "C:\\me\\x"}, {"path": "x"}),
        ({"path": "."}, {"path": "."}),
        ({"init_from": "local-dir:/home/me/x"}, {"init_from": "x"}),
        ({"init_from": "local-dir:x"}, {"init_from": "x"}),
        ({"init_from": "org/base"}, {"init_from": "org/base"}),
        ({"init_from": "hf-hub:org/base"}, {"init_from": "org/base"}),
        ({"init_from": "org/base@main"}, {"init_from": "org/base@main"}),
        (
            {"a": {"b": [{"folders": ("/home/me/x", 3, None)}]}},
            {"a": {"b": [{"folders": ["x", 3, None]}]}},
        ),
        ({"groups": [{"pattern": "^text/blocks/"}]}, {"groups": [{"pattern": "^text/blocks/"}]}),
    ],
)
def test_paths_are_shortened_to_their_last_part(settings, told):
    assert public(settings) == told


def test_licence_mixture_average_and_left_out_parameters_are_told():
    card = replace(CARD, averaged=True, mixed_with=("/ckpt/base", 0.3), license="unknown")
    text = model_card(card, CONTENTS._replace(left_out=("logit_bias", "head/a")))
    assert section(text, "Licence").startswith(
        "Whoever trained this model has not stated a licence"
    )
    assert "0.3 times the trained weights plus 0.7 times those of `base`" in text
    assert "moving average" in text
    assert "cannot hold `logit_bias`, `head/a`; see `kgclip_jax_extra.safetensors`" in text
    assert section(model_card(CARD, CONTENTS), "Licence") == (
        "apache-2.0\n\nThe licence of `base` is not known here; it may bind this model too.\n"
    )
    own = replace(CARD, config={})
    assert section(model_card(own, CONTENTS), "Licence") == "apache-2.0\n"


def test_the_usage_fits_the_model():
    siglip = CONTENTS._replace(shape=preset("SigLIP-B-16"))
    assert "logits_per_image.softmax" in model_card(CARD, CONTENTS)
    assert "logits_per_image.sigmoid()" in model_card(CARD, siglip)
    without = siglip._replace(left_out=("logit_bias",))
    assert "logits_per_image.softmax" in model_card(CARD, without)
    openai = model_card(CARD, CONTENTS._replace(format="openai"))
    assert "context_length=32" in openai
    assert 'clip.load("löwe 🦁/model.pt"' in openai
