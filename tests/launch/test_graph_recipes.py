"""Knowledge-CLIP's recipe: all of its losses on a toy graph, evaluated and exported."""

import itertools
import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

import kgclip_jax
from kgclip_jax import config, run_evaluation
from kgclip_jax.errors import ConfigError
from kgclip_jax.evaluation.result import to_json
from kgclip_jax.loading import open_trained
from kgclip_jax.models.dual_encoder import Model
from kgclip_jax.run_evaluation import evaluate_workdir
from kgclip_jax.training.optimizer import param_groups
from tests.knowledge.graph.made_up_graphs import make_graph
from tests.launch.recipe_runs import CAPTIONS, assert_trained, get_config, make_coco, trainer


@pytest.fixture(scope="module")
def train(commands, result, made_by_torch, tmp_path_factory):
    coco = tmp_path_factory.mktemp("karpathy") / "coco"
    make_coco(coco)
    return trainer(commands, result, coco, made_by_torch, tmp_path_factory)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Things with names, some of them with a picture, and what they are to each other."""
    folder = tmp_path_factory.mktemp("things")
    things = ["car", "cat", "dog", "fence", "horse", "tree"]
    pixels = np.random.default_rng(0).integers(256, size=(30, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "thing.png")
    triples = [
        (head, "near" if place % 2 else "bigger than", tail)
        for place, (head, tail) in enumerate(itertools.combinations(things, 2))
    ]
    return make_graph(
        folder / "graph",
        {"train": triples[2:], "test": triples[:2]},
        images=[["thing.png"] if thing in ("car", "cat", "dog") else [] for thing in things],
    )


def load_without_heads(load, *arguments, heads, **options):
    assert not heads, "large tables of entities would be read for nothing"
    return load(*arguments, **options)


def test_knowledge_clip_trains_on_all_of_its_losses(
    train, commands, result, made_by_torch, graph, tmp_path, monkeypatch
):
    sizes = {"width": 16, "depth": 1, "heads": 2, "mlp_width": 32}
    changes = {f"heads.fusion.transformer.{key}": size for key, size in sizes.items()}
    pairs = ("image_image", "image_text", "text_image", "text_text")
    changes |= {f"streams.graph.rows.{pair}": 4 for pair in pairs}
    changes |= {"streams.neighbourhoods.rows": 6, "streams.neighbourhoods.roots": 3}
    changes["evaluation.links"] = {"graph": str(graph.folder), "view": "mixed"}
    changes["optimizer.schedule.warmup_steps"] = 0
    workdir, output = train("knowledge_clip", f",{graph.folder},safe", **changes)
    assert_trained(workdir, output, made_by_torch, "contrastive")
    first, *_ = workdir.read_metrics()
    terms = [first[name] for name in ("triplets/e2e", "triplets/e2r", "graph/g2e")]
    total = sum(terms) + first["distillation/loss"] + first["contrastive/loss"]
    assert first["loss"] == pytest.approx(total, rel=1e-6)
    assert first["distillation/loss"] == pytest.approx(0, abs=1e-6)  # before the first update
    assert "link prediction" in output
    recorded = json.loads(workdir.evaluation.read_text())["results"]
    assert to_json(evaluate_workdir(workdir)) == recorded  # with the heads of the checkpoint
    saved = workdir.read_config()
    plain = {name: each for name, each in saved["evaluation"].items() if name != "links"}
    monkeypatch.setattr(run_evaluation, "load", partial(load_without_heads, kgclip_jax.load))
    rows = to_json(evaluate_workdir(workdir, settings=saved | {"evaluation": plain}))
    assert rows == [row for row in recorded if row["set_name"] != "links"]
    options = [f"--workdir={workdir.root}", "--format=huggingface", f"--output={tmp_path / 'out'}"]
    process = result(commands.start("launch/export.py", *options))
    assert f"heads are no part of the model, and stay in {workdir.root}: fusion, gnn" in (
        process.stdout
    )
    exported = kgclip_jax.load(tmp_path / "out")
    trained = kgclip_jax.load(workdir.root)
    np.testing.assert_array_equal(exported.encode_text(CAPTIONS), trained.encode_text(CAPTIONS))


def test_knowledge_clip_has_the_settings_of_the_paper(made_by_torch, graph):
    values = get_config("knowledge_clip")(f"{made_by_torch},{graph.folder}")
    settings = config.experiment(values.to_dict())
    assert settings.init_from == settings.teachers["original"].init_from == str(made_by_torch)
    assert settings.model == open_trained(made_by_torch).shape
    shape = settings.heads["fusion"].transformer
    assert (shape.depth, shape.width) == (4, 1024)
    assert (settings.heads["fusion"].masking, settings.heads["fusion"].drop_path) == ("zeros", 0.1)
    assert {objective.weight for objective in settings.objectives.values()} == {1.0}
    assert {*settings.objectives} == {"triplets", "graph", "distillation"}
    triplets = settings.objectives["triplets"]
    assert (triplets.entity_weight, triplets.relation_weight) == (1, 1)
    params = {
        "model": Model(settings.model).abstract(),
        "adapters": {},
        "heads": {"fusion": {"kernel": np.zeros((2, 2))}},
    }
    groups = param_groups(settings.optimizer, settings.tuning, params)
    rates = {path: g.learning_rate * settings.optimizer.learning_rate for path, g in groups.items()}
    assert {rate for path, rate in rates.items() if path.startswith("model/")} == {1e-5}
    assert rates["heads/fusion/kernel"] == pytest.approx(1e-3)


@pytest.mark.parametrize("arguments", ["", ",", ",GRAPH,safer"])
def test_mistaken_arguments_are_refused(made_by_torch, arguments):
    with pytest.raises(ConfigError, match="give SOURCE,GRAPH or SOURCE,GRAPH,safe"):
        get_config("knowledge_clip")(f"{made_by_torch}{arguments}")
