"""The recipes of published methods, from their commands: parse captions, train, evaluate."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import kgclip_jax
from kgclip_jax import run_evaluation
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.result import to_json
from kgclip_jax.knowledge.negatives import NegativeSettings
from kgclip_jax.models.presets import preset
from kgclip_jax.objectives.ce_clip import CeClip
from kgclip_jax.objectives.contrastive import Contrastive
from kgclip_jax.objectives.structure_clip_code import StructureClipCode
from kgclip_jax.optimizer_config import Schedule
from kgclip_jax.run_evaluation import evaluate_workdir
from kgclip_jax.training.optimizer import ParamGroup
from tests.launch.recipe_runs import (
    CAPTIONS,
    assert_trained,
    get_config,
    make_coco,
    make_teacher,
    make_things,
    resolved,
    trainer,
)


@pytest.fixture(scope="module")
def coco(commands, result, tmp_path_factory):
    """Pictures with captions and splits as Karpathy has them, parsed by the documented command."""
    folder = tmp_path_factory.mktemp("karpathy") / "coco"
    make_coco(folder)
    source = [f"--source=karpathy:{folder}", f"--set=file={folder / 'dataset_coco.json'}"]
    parse = ["launch/prepare.py", "parse", *source, f"--output={folder / 'graphs'}", "--workers=1"]
    process = result(commands.start(*parse))
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A folder as `save_pretrained` leaves it: a random BERT of eight layers, and its tokenizer."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator(CAPTIONS, vocab_size=120, show_progress=False)
    pieces.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    settings = BertConfig(
        vocab_size=pieces.get_vocab_size(),
        hidden_size=24,
        num_hidden_layers=8,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=16,
    )
    BertModel(settings).save_pretrained(folder)
    return SimpleNamespace(folder=folder, vocabulary=pieces.get_vocab_size())


@pytest.fixture(scope="module")
def train(commands, result, coco, made_by_torch, tmp_path_factory):
    return trainer(commands, result, coco, made_by_torch, tmp_path_factory)


def test_structure_clip_trains_on_parsed_captions(train, made_by_torch):
    workdir, output = train("structure_clip", **{"model.knowledge.transformer.depth": 1})
    assert_trained(workdir, output, made_by_torch, "structure_clip_code")


def test_structure_clip_starts_from_bert(train, made_by_torch, bert):
    sizes = {"width": 24, "heads": 2, "mlp_width": 48, "depth": 1}
    changes = {f"model.knowledge.transformer.{key}": value for key, value in sizes.items()}
    changes["model.knowledge.vocabulary"] = bert.vocabulary
    workdir, output = train("structure_clip", f",paper,{bert.folder}", **changes)
    assert_trained(workdir, output, made_by_torch, "structure_clip")
    shutil.rmtree(bert.folder)  # the run keeps its own copy of the tokenizer
    assert kgclip_jax.load(workdir.root).encode_text(CAPTIONS[:1]).shape == (1, 16)


def test_plain_fine_tuning_needs_no_graphs(train, coco, made_by_torch, tmp_path):
    bare = shutil.copytree(coco, tmp_path / "bare", ignore=shutil.ignore_patterns("graphs"))
    workdir, output = train("structure_clip", ",plain", **{"data.path": bare})
    assert_trained(workdir, output, made_by_torch, "contrastive")
    assert "text-to-image R@1, mean of 5 folds" in output


def test_negclip_trains_on_listed_captions_and_similar_pictures(
    commands, result, train, coco, made_by_torch
):
    source = [f"--source=karpathy:{coco}", f"--set=file={coco / 'dataset_coco.json'}"]
    for command, output, *options in (
        ("negclip", coco / "negclip.tsv"),
        ("neighbours", coco / "neighbours.npy", f"--model={made_by_torch}"),
    ):
        made = result(
            commands.start("launch/prepare.py", command, *source, f"--output={output}", *options)
        )
        assert (made.returncode, made.stderr) == (0, "")
    assert "3 neighbours of 8 of 8 pictures" in made.stdout
    changes = {"optimizer.schedule.warmup_steps": 0}
    workdir, output = train("negclip", ",class,neighbours", **changes)
    assert_trained(workdir, output, made_by_torch, "contrastive")
    assert "100.0% of the captions have some" in output
    assert re.search(r"listed.*made", output)


@pytest.mark.parametrize("how", [[], ["--model=clip", "--listed=list.tsv"]])
def test_similar_pictures_are_found_by_a_model_or_listed(commands, result, coco, how):
    options = [f"--source=karpathy:{coco}", f"--output={coco / 'n.npy'}", *how]
    made = result(commands.start("launch/prepare.py", "neighbours", *options))
    assert made.returncode == 2
    assert "found by --model=SOURCE or listed in --listed=FILE.tsv" in made.stderr


def test_negclip_with_random_swaps_needs_no_graphs(train, coco, made_by_torch, tmp_path):
    bare = shutil.copytree(coco, tmp_path / "bare", ignore=shutil.ignore_patterns("graphs"))
    changes = {"optimizer.schedule.warmup_steps": 0, "data.path": bare}
    workdir, output = train("negclip", ",random", **changes)
    assert_trained(workdir, output, made_by_torch, "contrastive")
    assert workdir.read_config()["streams"]["captions"]["sources"]["coco"]["graphs"] is None
    assert re.search(r"swap_words.*made", output)


def test_ce_clip_trains_on_a_listed_caption_of_each_kind(train, coco, made_by_torch):
    names = [path.name for path in sorted((coco / "train2014").iterdir())]
    annotations = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"image_id": n, "caption": CAPTIONS[n]} for n in range(len(names))],
    }
    entry = {
        "relation_aug_caption": "two old benches sit on a wooden man near a green tree",
        "adj_aug_caption": "two young men sit on a wooden bench near a green tree",
        "noun_aug_caption": "two old men sit on a wooden bench near a green car",
        "verb_aug_caption": "###",
        "valid_caption": [1, 1, 1, 1, 0],
    }
    (coco / "annotations").mkdir()
    (coco / "annotations/captions_train2014.json").write_text(json.dumps(annotations))
    (coco / "ce_clip.json").write_text(json.dumps([{"caption": c} | entry for c in CAPTIONS]))
    workdir, output = train("ce_clip", **{"optimizer.schedule.warmup_steps": 0})
    assert_trained(workdir, output, made_by_torch, "ce_clip")
    assert {"ce_clip/intra_modal_loss", "ce_clip/margin"} <= workdir.read_metrics()[0].keys()
    assert re.search(r"listed_noun.*made", output)
    assert re.search(r"listed_verb.*the file lists none", output)


@pytest.mark.parametrize(
    ("recipe", "variant"),
    [
        ("structure_clip", ",listed,"),
        ("structure_clip", ","),
        ("negclip", ","),
        ("negclip", ",class,neighbours"),
        ("ce_clip", ","),
    ],
)
def test_plain_fine_tuning_differs_in_what_the_method_adds_alone(made_by_torch, recipe, variant):
    method = resolved(recipe, f"{made_by_torch}{variant.rstrip(',')}")[0]
    arguments = variant.replace("class", "plain") if "class" in variant else f"{variant}plain"
    plain, groups = resolved(recipe, f"{made_by_torch}{arguments}")
    assert plain.objectives == {"contrastive": Contrastive()}
    assert (plain.model.knowledge, plain.streams["captions"].negatives) == (None, None)
    assert (plain.total_steps, plain.evaluation) == (method.total_steps, method.evaluation)
    ours, theirs = plain.streams["captions"], method.streams["captions"]
    assert (ours.rows, ours.neighbours) == (theirs.rows, theirs.neighbours)
    graphs = {} if "listed" in variant else {"graphs": None}
    for name, source in theirs.sources.items():
        assert ours.sources[name] == replace(source, **graphs)
    decays = [
        group.weight_decay for group in method.optimizer.groups if "scale" not in group.pattern
    ]
    assert [group.weight_decay for group in plain.optimizer.groups] == decays
    assert replace(plain.optimizer, groups=()) == replace(method.optimizer, groups=())
    assert all(group.learning_rate == 1 for group in groups.values())


@pytest.mark.parametrize("recipe", ["structure_clip", "negclip", "ce_clip"])
def test_coco_is_ranked_in_its_five_folds_too(made_by_torch, recipe):
    test = resolved(recipe, made_by_torch)[0].evaluation["COCO test"]
    assert (test.folds, test.source.split) == (5, "test")


def test_structure_clip_has_the_settings_of_the_released_code(made_by_torch):
    experiment, groups = resolved("structure_clip", made_by_torch)
    optimizer, knowledge = experiment.optimizer, experiment.model.knowledge
    captions = experiment.streams["captions"]
    assert (optimizer.learning_rate, optimizer.b1, optimizer.b2) == (5e-6, 0.9, 0.999)
    assert (optimizer.eps, optimizer.clip_norm, optimizer.ema_decay) == (1e-8, None, None)
    assert optimizer.schedule == Schedule(kind="constant", warmup_steps=0)
    # The loss has no temperature, and torch does not touch what has no gradient.
    assert groups.pop("model/logit_scale") == ParamGroup(1.0, 0.0)
    assert {*groups.values()} == {ParamGroup(1.0, 0.1)}
    decayed = resolved("structure_clip", f"{made_by_torch},paper")[1]
    assert decayed["model/logit_scale"] == ParamGroup(1.0, 0.0)
    listed = resolved("structure_clip", f"{made_by_torch},listed")[0].streams["captions"]
    assert listed.negatives == NegativeSettings({"listed": 1.0}, file="structure_clip.json")
    assert listed.sources["coco"].structured
    assert not captions.sources["coco"].structured
    assert any(path.startswith("model/knowledge/blocks") for path in groups)
    assert (captions.rows, experiment.total_steps) == (64, 17_701)  # 10 x 113,287 / 64
    assert experiment.execution.dtype == "float32"
    assert captions.negatives.kinds == {"structure_clip": 1.0}
    assert (knowledge.weight, knowledge.triples, knowledge.readout) == (0.2, 6, "first")
    assert knowledge.transformer.depth == 6
    code = StructureClipCode(margin=0.1, batch_margin=0.2, negative_weight=5.0)
    assert experiment.objectives == {"structure_clip_code": code}


def test_negclip_has_the_settings_of_the_authors_command(made_by_torch):
    experiment, groups = resolved("negclip", made_by_torch)
    optimizer, captions = experiment.optimizer, experiment.streams["captions"]
    assert optimizer.learning_rate == 1e-6
    assert optimizer.schedule == Schedule(kind="cosine", warmup_steps=50)
    assert (captions.rows, experiment.total_steps) == (256, 2_212)  # 5 x 113,287 / 256
    assert experiment.model.knowledge is None
    assert experiment.evaluate_every == experiment.checkpoints.every == 442  # an epoch
    assert experiment.checkpoints.keep == 6
    assert experiment.objectives == {"contrastive": Contrastive(negatives=True)}
    assert captions.negatives == NegativeSettings({"listed": 1.0}, file="negclip.tsv")
    assert (optimizer.b1, optimizer.b2, optimizer.eps) == (0.9, 0.98, 1e-6)
    assert_decayed_as_in_open_clip(groups, 0.2)


def test_ce_clip_has_the_settings_of_the_authors_script(made_by_torch):
    experiment, groups = resolved("ce_clip", made_by_torch)
    optimizer, captions = experiment.optimizer, experiment.streams["captions"]
    assert (optimizer.learning_rate, optimizer.b1, optimizer.b2) == (5e-6, 0.9, 0.98)
    assert (optimizer.eps, optimizer.clip_norm) == (1e-6, None)
    assert optimizer.schedule == Schedule(kind="cosine", warmup_steps=50)
    assert (captions.rows, experiment.total_steps) == (1512, 1365)  # 5 x (414,113 // 1,512)
    assert (captions.negatives.count, captions.negatives.one_of_each) == (4, True)
    kinds = {"listed_relation", "listed_adjective", "listed_noun", "listed_verb"}
    assert captions.negatives.kinds.keys() == kinds
    terms = {
        "intra_modal_weight": 0.3,
        "ranking_weight": 0.2,
        "upper_bound": 10.0,
        "margin": "mean",
    }
    contrastive = Contrastive(negatives=True)
    for mode, intra_modal in (("code", "code"), ("paper", "formula")):
        objectives = resolved("ce_clip", f"{made_by_torch},own,{mode}")[0].objectives
        ce_clip = CeClip(intra_modal=intra_modal, **terms)
        assert objectives == {"contrastive": contrastive, "ce_clip": ce_clip}
    assert_decayed_as_in_open_clip(groups, 0.1)


def assert_decayed_as_in_open_clip(groups, decay):
    """What has two dimensions, positions too, and nothing else."""
    decayed = {path for path, group in groups.items() if group == ParamGroup(1.0, decay)}
    ends = ("kernel", "text/embedding", "positions")
    assert decayed == {path for path in groups if path.endswith(ends)}
    assert {groups[path] for path in groups.keys() - decayed} == {ParamGroup(1.0, 0.0)}


def test_siglip_has_the_published_settings():
    experiment, groups = resolved("siglip", "spiece.model")
    optimizer, captions = experiment.optimizer, experiment.streams["captions"]
    assert experiment.model == preset("SigLIP-B-16")
    assert (optimizer.kind, optimizer.b1, optimizer.b2) == ("adafactor", 0.9, 0.95)
    assert optimizer.moment_dtype == "bfloat16"
    assert (captions.rows, experiment.total_steps) == (32_768, 274_658)
    assert experiment.objectives == {"contrastive": Contrastive(form="sigmoid")}
    decayed = {path for path, group in groups.items() if group.weight_decay}
    assert decayed == {path for path in groups if path.endswith("/kernel")}
    assert {groups[path].weight_decay * optimizer.learning_rate for path in decayed} == {1e-4}


@pytest.mark.parametrize(
    ("recipe", "arguments", "message"),
    [
        (
            "structure_clip",
            ",papers",
            "'papers' is no folder of BERT, and none of code, paper, plain",
        ),
        ("structure_clip", ",code,paper", "give SOURCE, and at most one of code, paper, plain"),
        ("structure_clip", ",plain,configs", "plain has no encoder that could start from BERT"),
        ("ce_clip", ",plain,paper", "code and paper are of terms that plain has not"),
        ("siglip", ",ViT-B-32", "give the file of SigLIP's word pieces, and then a SigLIP preset"),
        ("ce_clip", ",code,mine", "give SOURCE, at most one of code and paper, and of listed"),
        ("negclip", ",swaps", "no negatives 'swaps'; there are class, random, semantic, plain"),
    ],
)
def test_mistaken_arguments_are_refused(made_by_torch, recipe, arguments, message):
    with pytest.raises(ConfigError, match=message):
        get_config(recipe)(f"{made_by_torch}{arguments}")


def load_without_heads(load, *arguments, heads, **options):
    assert not heads, "large tables of entities would be read for nothing"
    return load(*arguments, **options)


def test_all_methods_train_in_one_run(
    train, commands, result, coco, made_by_torch, tmp_path, monkeypatch
):
    graph = make_things(tmp_path).folder
    sizes = {"width": 16, "depth": 1, "heads": 2, "mlp_width": 32}
    changes = {f"heads.fusion.transformer.{key}": size for key, size in sizes.items()}
    pairs = ("image_image", "image_text", "text_image", "text_text")
    changes |= {f"streams.graph.rows.{pair}": 4 for pair in pairs}
    changes |= {"streams.neighbourhoods.rows": 6, "streams.neighbourhoods.roots": 3}
    changes |= {"model.knowledge.transformer.depth": 1, "optimizer.schedule.warmup_steps": 0}
    changes["evaluation.links"] = {"graph": str(graph), "view": "mixed"}
    workdir, output = train("unified", f",{graph},{make_teacher(coco)}", **changes)
    assert_trained(workdir, output, made_by_torch, "structure_clip")
    first, *_ = workdir.read_metrics()
    terms = [first[name] for name in ("triplets/e2e", "triplets/e2r", "graph/g2e")]
    terms += [first[f"{name}/loss"] for name in ("structure_clip", "distillation")]
    total = sum(terms) + first["text_distillation/loss"] + 0.01 * first["concepts/loss"]
    assert first["loss"] == pytest.approx(total, rel=1e-6)
    assert "link prediction" in output
    recorded = json.loads(workdir.evaluation.read_text())["results"]
    assert to_json(evaluate_workdir(workdir)) == recorded  # with the heads of the checkpoint
    saved = workdir.read_config()
    others = {name: each for name, each in saved["evaluation"].items() if name != "links"}
    monkeypatch.setattr(run_evaluation, "load", partial(load_without_heads, kgclip_jax.load))
    rows = to_json(evaluate_workdir(workdir, settings=saved | {"evaluation": others}))
    assert rows == [row for row in recorded if row["set_name"] != "links"]
    options = [f"--workdir={workdir.root}", "--format=huggingface", f"--output={tmp_path / 'out'}"]
    process = result(commands.start("launch/export.py", *options))
    left = "heads are no part of the model, and stay in"
    heads = "concept_map, fusion, gnn, teacher_map"
    assert f"{left} {workdir.root}: {heads}" in process.stdout
    exported, trained = (
        kgclip_jax.load(source).encode_text(CAPTIONS) for source in (tmp_path / "out", workdir.root)
    )
    np.testing.assert_array_equal(exported, trained)
