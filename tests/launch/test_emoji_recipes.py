"""The recipes on emoji scenes: their rows differ in what they are about, and in nothing else."""

import runpy
from dataclasses import replace

import pytest

from kgclip_jax import config, schema
from kgclip_jax.data.emoji.world import splits
from kgclip_jax.errors import ConfigError

ROWS = ("clip", "random", "semantic", "encoder", "both", "all")


def experiment(name, arguments):
    settings = runpy.run_path(f"configs/{name}.py")["get_config"](arguments)
    return config.experiment(settings.to_dict())


def differing(one, other):
    """The settings that two experiments do not share, by the parts of their names."""
    pair = (schema.to_dict(each) for each in (one, other))
    return {".".join(key.split(".")[:2]) for key, _, _ in schema.differences(*pair)}


@pytest.mark.parametrize("row", ROWS[1:])
def test_a_row_of_the_ablation_differs_from_clip_in_what_it_adds_and_in_steps(row):
    changed = {"total_steps"}
    if row != "encoder":
        changed |= {"objectives.contrastive", "objectives.structure_clip", "streams.captions"}
    if row in ("encoder", "both", "all"):
        changed.add("model.knowledge")
    clip, other = (experiment("emoji_structure", f"{each},2") for each in ("clip", row))
    assert differing(clip, other) == changed
    assert other.total_steps < clip.total_steps
    assert other.seed == 2


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_the_ablation_go_on_from_the_base(row):
    base, other = experiment("emoji_structure", "base"), experiment("emoji_structure", f"{row},1")
    assert base.init_from is None
    assert base.seed != other.seed
    assert other.init_from == "runs/emoji_structure-base"
    assert base.sources == other.sources


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("encoders,1", "no row 'encoders'; did you mean encoder"),
        ("base,1", "no row 'base'; did you mean base"),
        ("clip", "a seed must follow the row, as in clip,1"),
        ("clip,first", "a seed must follow the row"),
        ("clip,0", "that of the base, 0, would show again what it has seen"),
    ],
)
def test_rows_that_are_none_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        experiment("emoji_structure", arguments)


def test_the_quickstart_goes_on_with_and_without_structure():
    clip, longer, structure = (
        experiment("quickstart", each) for each in ("clip", "longer", "structure")
    )
    assert clip.init_from is None
    assert longer.init_from == structure.init_from == "runs/quickstart"
    assert differing(clip, longer) == {"total_steps", "init_from", "seed"}
    assert differing(longer, structure) == {
        "total_steps",
        "streams.captions",
        "model.knowledge",
        "objectives.contrastive",
        "objectives.structure_clip",
    }
    with pytest.raises(ConfigError, match="no variant 'structured'; did you mean structure"):
        experiment("quickstart", "structured")


def test_all_variants_of_the_quickstart_are_one_run():
    longer, everything = experiment("quickstart", "longer"), experiment("quickstart", "all")
    alone = [experiment("quickstart", each) for each in ("structure", "graph", "teacher")]
    assert differing(longer, everything) == set().union(*(differing(longer, o) for o in alone))
    assert everything.objectives.keys() == {"structure_clip", "triplets", "text_distillation"}
    assert everything.heads.keys() == {"fusion", "teacher_map"}


GRAPH_ROWS = ("triplets", "all", "alone", "distilled")


@pytest.mark.parametrize("row", GRAPH_ROWS)
def test_a_row_with_the_graph_differs_from_clip_in_what_it_adds_and_in_steps(row):
    changed = {"total_steps", "streams.graph", "heads.fusion", "objectives.triplets"}
    changed.add("evaluation.unseen drawings")
    if row == "all":
        changed |= {"streams.neighbourhoods", "heads.gnn", "objectives.graph"}
    if row in ("all", "distilled"):
        changed |= {"teachers.base", "objectives.distillation"}
    if row in ("alone", "distilled"):
        changed.add("objectives.contrastive")
    if row == "alone":
        changed.add("streams.captions")
    clip, other = (experiment("emoji_graph", f"{each},2") for each in ("clip", row))
    assert differing(clip, other) == changed
    assert other.total_steps < clip.total_steps
    base = experiment("emoji_graph", "base,2")
    assert other.init_from == clip.init_from == "runs/emoji_graph-base,2"
    assert other.seed == clip.seed != base.seed
    assert other.sources == ([] if row == "alone" else base.sources)
    assert base.seed != experiment("emoji_graph", "base,3").seed


def test_every_set_of_the_graph_s_recipe_is_of_the_world_that_is_trained_on():
    settings = experiment("emoji_graph", "all,1")
    (source,) = settings.streams["captions"].sources.values()
    worlds = [each.world for each in settings.evaluation.values() if hasattr(each, "world")]
    assert worlds == [source.world] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("graphs,1", "no row 'graphs'"), ("clip", "a seed must follow the row, as in clip,1")],
)
def test_rows_of_the_graph_s_recipe_that_are_none_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        experiment("emoji_graph", arguments)


UNIFIED_ROWS = {
    "structure": {"streams.captions", "model.knowledge", "objectives.structure_clip"},
    "graph": {"streams.graph", "heads.fusion", "objectives.triplets"},
    "teacher": {"streams.words", "objectives.text_distillation"},
}


def test_the_unified_run_has_all_that_its_rows_have_alone():
    clip, everything = (experiment("emoji_unified", f"{row},2") for row in ("clip", "all"))
    together = {"total_steps", "objectives.contrastive", "objectives.scene_graph_distillation"}
    for row, added in UNIFIED_ROWS.items():
        alone = experiment("emoji_unified", f"{row},2")
        steps = {"total_steps"} | ({"objectives.contrastive"} if row == "structure" else set())
        assert differing(clip, alone) == added | steps
        assert everything.total_steps < alone.total_steps < clip.total_steps
        together |= added
    assert differing(clip, everything) == together
    structure, taught = (experiment("emoji_unified", f"{row},2") for row in ("structure", "taught"))
    assert differing(structure, taught) == {"objectives.scene_graph_distillation"}


def test_rows_of_the_unified_ablation_have_one_loss_of_the_graph_each():
    both, *alone = (
        experiment("emoji_unified", f"{row},2").objectives["triplets"]
        for row in ("graph", "entities", "relations")
    )
    assert (both.entity_weight, both.relation_weight) == (1.0, 1.0)
    assert [(each.entity_weight, each.relation_weight) for each in alone] == [
        (1.0, 0.0),
        (0.0, 1.0),
    ]
    assert replace(alone[0], entity_weight=0.0, relation_weight=1.0) == alone[1]


def test_rows_of_the_unified_recipe_go_on_from_one_base():
    base, row = experiment("emoji_unified", "base"), experiment("emoji_unified", "all,1")
    assert (base.init_from, row.init_from) == (None, "runs/emoji_unified-base")
    assert base.seed != row.seed
    assert base.sources == row.sources
    with pytest.raises(ConfigError, match="that of the base, 0, would show again"):
        experiment("emoji_unified", "all,0")
    with pytest.raises(ConfigError, match="no row 'graphs'; did you mean graph"):
        experiment("emoji_unified", "graphs,1")


def test_no_scene_shows_a_thing_that_the_other_world_holds_back():
    scenes, things = (
        splits(source.world)
        for source in experiment("emoji_unified", "base").streams["captions"].sources.values()
    )
    shown = {scenes.concepts[number].name for number in scenes.seen}
    assert not shown & {things.concepts[number].name for number in things.unseen}
