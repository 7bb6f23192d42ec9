"""Shipped configs, settings that make no sense, and what a resumed run may change."""

import dataclasses
import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from kgclip_jax import config, loading, schema
from kgclip_jax.data.tokenization.tokenizer_config import TokenizerJson, Tokenizers
from kgclip_jax.errors import ConfigError
from kgclip_jax.model_inputs import preprocessing_for
from kgclip_jax.models.presets import preset
from kgclip_jax.models.spec import KnowledgeEncoder, Transformer
from kgclip_jax.writers.mlflow_writer import MlflowConfig
from kgclip_jax.writers.wandb_writer import WandbConfig

ALL = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quickstart():
    """The quickstart's config with every setting in it."""
    settings = next(load(path) for path in ALL if path.stem == "quickstart").get_config()
    return ConfigDict(schema.to_dict(config.experiment(settings.to_dict())))


def stands_alone(get_config):
    arguments = inspect.signature(get_config).parameters.values()
    return all(argument.default is not argument.empty for argument in arguments)


SHIPPED = [path for path in ALL if stands_alone(load(path).get_config)]
# Those that follow a graph or embeddings too are in tests/launch: test_graph_recipes.py and
# test_kd_recipe.py.
FOLLOW_A_MODEL = [
    path for path in ALL if re.search(rf"{path.name}:SOURCE(?!,GRAPH|,\$)", load(path).__doc__)
]


def override(settings, path, value):
    for key in path[:-1]:
        settings = settings[key]
    settings[path[-1]] = value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_says_how_to_run_it(path):
    module = load(path)
    experiment = config.experiment(module.get_config().to_dict())
    assert isinstance(experiment, config.Experiment)
    assert f"python launch/train.py --config=configs/{path.name}" in module.__doc__


OF_CLIP = ("ce_clip", "negclip", "structure_clip")  # whose softmax knows no bias


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path in FOLLOW_A_MODEL
        for name in ("tiny", "SigLIP-B-16")
        if name == "tiny" or path.stem not in OF_CLIP
    ],
    ids=lambda each: getattr(each, "stem", each),
)
def test_configs_that_follow_a_model_take_all_of_it(monkeypatch, path, name):
    tokenizer = TokenizerJson("json", "words.json", pad_id=1)
    trained = loading.Trained("a model", preset(name), Tokenizers(tokenizer), read=dict)
    monkeypatch.setattr(loading, "open_trained", {"a-model": trained}.get)
    module = load(path)
    experiment = config.experiment(module.get_config("a-model").to_dict())
    towers = dataclasses.replace(experiment.model, knowledge=None)  # what a config may add
    assert (towers, experiment.tokenizer) == (preset(name), tokenizer)
    assert experiment.init_from == "a-model"
    assert re.search(rf"python launch/\w+\.py --config=configs/{path.name}:SOURCE", module.__doc__)


@pytest.mark.parametrize("path", FOLLOW_A_MODEL, ids=lambda path: path.stem)
def test_configs_that_follow_a_model_parse_as_it_does(monkeypatch, path):
    blocks = Transformer(width=32, depth=1, heads=2, mlp_width=16)
    shape = dataclasses.replace(preset("tiny"), knowledge=KnowledgeEncoder(blocks))
    trained = loading.Trained("a model", shape, Tokenizers(), read=dict, parser="en_mine")
    monkeypatch.setattr(loading, "open_trained", {"a-model": trained}.get)
    from_graphs = {"negclip": ",semantic", "ce_clip": ",own"}.get(path.stem, "")
    values = load(path).get_config(f"a-model{from_graphs}").to_dict()
    assert config.experiment(values).data.parser == "en_mine"


def changed(**changes):
    settings = quickstart()
    for path, value in changes.items():
        override(settings, path.split("__"), value)
    return config.experiment(settings.to_dict())


def test_a_run_goes_on_with_the_same_settings_and_with_safe_changes():
    saved = schema.to_dict(changed())
    config.check_resumable(saved, changed())
    config.check_resumable(
        saved,
        changed(
            total_steps=10_000,
            log_every=1,
            evaluate_every=7,
            profile={"first": 2, "last": 3},
            stall_seconds=9.0,
            checkpoints__keep=1,
            data__workers=0,
            data__path="/elsewhere",
            data__bad_share=0.5,
            mesh__fsdp=2,
            execution__dtype="float32",
            execution__microbatches=2,
        ),
    )


def test_settings_that_are_younger_than_a_run_had_their_defaults():
    saved = schema.to_dict(changed())
    del saved["optimizer"]["clip_norm"]
    config.check_resumable(saved, changed())
    with pytest.raises(ConfigError, match=r"optimizer.clip_norm: 1.0 -> 0.5"):
        config.check_resumable(saved, changed(optimizer__clip_norm=0.5))
    saved["frobnicate"] = True
    with pytest.raises(ConfigError, match=r"run of another version: config.frobnicate is no"):
        config.check_resumable(saved, changed())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"streams__captions__rows": 64}, "  streams.captions.rows: 128 -> 64"),
        ({"seed": 1}, "  seed: 0 -> 1"),
        ({"streams__captions__text_slots": "one"}, r"  streams.captions.text_slots: 'auto' -> 'on"),
        ({"streams__captions__sources__emoji__world__seed": 1}, r"emoji\.world\.seed: 0 -> 1"),
        ({"optimizer__ema_decay": 0.5}, "  optimizer.ema_decay: None -> 0.5"),
        ({"model__vision__pooling": "mean"}, "  model.vision.pooling: 'class' -> 'mean'"),
    ],
)
def test_other_changes_are_refused_with_a_diff(tmp_path, change, line):
    saved = json.loads(json.dumps(schema.to_dict(changed())))
    with pytest.raises(ConfigError, match=line) as refusal:
        config.check_resumable(saved, changed(**change, total_steps=9))
    assert "total_steps:" not in str(refusal.value)


BLOCKS = {"width": 128, "depth": 1, "heads": 2, "mlp_width": 16}
PIECES = {"transformer": BLOCKS, "elements": "wordpiece", "vocabulary": 30522}
FILE = {"kind": "json", "file": "tokenizer.json", "pad_id": 0}


READER = {"transformer": BLOCKS}
NEGCLIP = {"contrastive": {"form": "softmax", "negatives": True}}


def photographs(*negatives):
    """Streams of photographs whose scene graphs nobody knows, with kinds of negatives."""
    kinds = dict.fromkeys(negatives, 1.0)
    stream = {"sources": {"mine": {"kind": "photographs"}}, "rows": 8}
    return {"captions": stream | ({"negatives": {"kinds": kinds}} if negatives else {})}


def test_writers_are_switched_on_by_their_name():
    values = quickstart().to_dict() | {"writers": {"wandb": {"project": "mine"}, "mlflow": {}}}
    experiment = config.experiment(values)
    assert experiment.writers == {"wandb": WandbConfig(project="mine"), "mlflow": MlflowConfig()}


def test_shuffled_captions_need_no_graphs():
    values = quickstart().to_dict() | {"objectives": NEGCLIP, "streams": photographs("swap_words")}
    assert not config.experiment(values).streams["captions"].sources["mine"].knows_graphs


def test_a_knowledge_encoder_is_read_from_a_config():
    values = quickstart().to_dict()
    values["model"]["knowledge"] = PIECES
    values |= {"element_tokenizer": FILE, "knowledge_init_from": "bert"}
    experiment = config.experiment(values)
    assert experiment.model.knowledge.vocabulary == 30522
    assert experiment.element_tokenizer == TokenizerJson(**FILE)
    assert schema.to_dict(experiment)["knowledge_init_from"] == "bert"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 10**20}, r"config\.seed must be at most 4294967295, not 100000000000000000000"),
        ({"mesh": {"data": 0}}, r"config\.mesh: sizes are positive, at most one is -1"),
        ({"mesh": {"data": -1, "fsdp": -1}}, r"config\.mesh: sizes are positive"),
        ({"optimizer.learning_rate": float("inf")}, r"learning_rate must be finite in float32"),
        ({"optimizer.b1": 1.5}, r"config\.optimizer\.b1 must be below 1, not 1\.5"),
        ({"optimizer.eps": -1}, r"config\.optimizer\.eps must be above 0, not -1\.0"),
        ({"model.vision.std": (1, 0, 1)}, r"model\.vision\.std\[1\] must be above 0"),
        (
            {
                "model.vision.positions": "sincos2d",
                "model.vision.transformer.width": 6,
                "model.vision.transformer.heads": 1,
            },
            r"model\.vision: .*divisible by 4, not 6",
        ),
        (
            {"model.logit_scale": 200.0},
            r"config\.model: logit_scale 200\.0 is not within 1 and max",
        ),
        ({"model.logit_scale": 0}, r"model\.logit_scale must be above 0"),
        ({"objectives.contrastive.weight": -1}, r"contrastive\.weight must be above 0, not -1\.0"),
        ({"total_steps": 0}, "total_steps must be at least 1, not 0"),
        ({"seed": -1}, r"config\.seed must be at least 0, not -1"),
        ({"evaluate_every": 0}, "evaluate_every"),
        ({"checkpoints": {"keep": 0}}, r"config\.checkpoints\.keep must be at least 1"),
        ({"profile": {"first": 5, "last": 4}}, r"config\.profile: first 5 comes after last 4"),
        ({"profile": {"first": 1, "last": 10**6}}, r"config: profile\.last is beyond total_steps"),
        ({"profile": {"first": 0, "last": 4}}, r"config\.profile\.first must be at least 1, not 0"),
        ({"stall_seconds": 0}, r"config\.stall_seconds must be above 0"),
        (
            {"writers.wandbd": {}},
            r"writers\.wandbd\.kind: .* 'wandbd'; did you mean wandb",
        ),
        ({"data.workers": -1}, r"config\.data\.workers must be at least 0"),
        ({"optimizer.ema_decay": 2.0}, r"optimizer\.ema_decay must be below 1, not 2\.0"),
        ({"optimizer.schedule.cooldown_steps": 5}, "mean nothing for cosine"),
        ({"resize_positions": True}, "means nothing without init_from"),
        ({"model.text.pooling": "last"}, "last position means nothing"),
        ({"model.vision.patch_size": 40}, r"config\.model\.vision: image_size 32 holds no patch"),
        (
            {"streams.captions.rows": -8},
            r"config\.streams\.captions\.rows must be at least 1, not -8",
        ),
        (
            {"streams.captions.sources.emoji.world.concepts": 3},
            r"captions\.sources\.emoji\.world\.concepts must be at least 8, not 3",
        ),
        (
            {"streams.caption": {}},
            r"streams\.caption\.kind: there is no stream of kind 'caption'; did",
        ),
        ({"streams": {}}, r"objectives\.contrastive: streams\.captions is not there"),
        (
            {"streams.more": {"kind": "captions", "sources": {}, "rows": 8}},
            r"streams\.more is used b",
        ),
        ({"objectives": {"clip": {"form": "softmax"}}}, "did you mean ce_clip"),
        (
            {"objectives.contrastive.stream": "caption"},
            r"captions? is not there; did you mean capt",
        ),
        (
            {"objectives.contrastive.form": "sigmoid"},
            r"objectives\.contrastive: .* needs model\.log",
        ),
        (
            {"model.logit_bias": -10.0},
            r"objectives\.contrastive: none .*uses model\.logit_bias; set it",
        ),
        ({"objectives": {"ce_clip": {}}}, r"config\.objectives\.ce_clip: alone it may collapse"),
        ({"objectives.ce_clip": {}}, r"\.ce_clip: .*contrastive objective with negatives=True"),
        ({"model.knowledge": PIECES}, "element_tokenizer is for .*'wordpiece', which need it"),
        ({"element_tokenizer": FILE}, "element_tokenizer is for .*'wordpiece'"),
        ({"knowledge_init_from": "bert"}, "knowledge_init_from is for .*'wordpiece'"),
        (
            {"model.knowledge": READER, "knowledge_init_from": "bert"},
            "knowledge_init_from is for .*'wordpiece'",
        ),
        ({"model.knowledge": {"transformer": BLOCKS | {"width": 8}}}, "width 8 must be 128"),
        ({"model.knowledge": PIECES | {"vocabulary": None}}, "vocabulary is for .*need it"),
        ({"model.knowledge": PIECES | {"weight": -0.1}}, r"knowledge\.weight must be at least"),
        ({"model.knowledge": READER | {"element_length": 2}}, "element_length must be at least 3"),
        (
            {"model.knowledge": READER, "streams": photographs()},
            r"streams\.captions: sources\.mine\.graphs is needed by model\.knowledge: .*prepare",
        ),
        (
            {"objectives": NEGCLIP, "streams": photographs("shuffle", "swap_objects")},
            r"sources\.mine\.graphs is needed by negatives\.kinds \(swap_objects\): ",
        ),
        (
            {
                "objectives": NEGCLIP,
                "streams": photographs("swap_words", "swap_objects"),
                "model.knowledge": READER,
            },
            r"kinds: swap_words cannot go with model\.knowledge: nobody knows the scene graphs",
        ),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_by_key(change, message):
    values = quickstart().to_dict()
    for key, value in change.items():
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place[parent]
        place[last] = value
    with pytest.raises(ConfigError, match=message):
        config.experiment(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": 300}, "vocabulary 300 is smaller than the tokenizer's 49408"),
        ({"eos_id": 7}, "eos_id 7 is not the tokenizer's 49407"),
    ],
)
def test_a_text_tower_that_cannot_read_the_tokenizer_is_refused(change, message):
    model = preset("tiny")
    shape = dataclasses.replace(model, text=dataclasses.replace(model.text, **change))
    with pytest.raises(ConfigError, match=message):
        preprocessing_for(shape, Tokenizers())
