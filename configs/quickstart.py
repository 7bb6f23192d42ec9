r"""Train a small CLIP on emoji scenes, on a laptop, in minutes.

    python launch/train.py --config=configs/quickstart.py

A hundred thousand scenes of one or two of 16 things, small or large, in natural or tinted colours;
captions leave things and attributes out. Expect retrieval and zero-shot classification of seen
concepts far above chance, swapped objects and attributes well above it, relations and unseen
concepts at it. From there, with scene graphs and without, in equal time (so young a model gains a
part of what `configs/emoji_structure.py` shows, and loses in retrieval):

    python launch/train.py --config=configs/quickstart.py:longer
    python launch/train.py --config=configs/quickstart.py:structure
    python launch/compare.py runs/quickstart-longer runs/quickstart-structure

Or with a knowledge graph of all 451 things that there are drawings of, their categories and, of
what training shows, their drawings:

    python launch/prepare.py graph --source=emoji --set=concepts=16 --set=unseen_concepts=8 \
        --output=graphs/emoji
    python launch/train.py --config=configs/quickstart.py:graph

Or with a language model as teacher of what the graph calls things; or with scene graphs, the
knowledge graph and the teacher together, in every step:

    pip install -r requirements-teach.txt
    python launch/prepare.py embed --teacher=minilm --source=graph:graphs/emoji \
        --output=embeddings/emoji
    python launch/train.py --config=configs/quickstart.py:teacher
    python launch/train.py --config=configs/quickstart.py:all
"""

from ml_collections import ConfigDict

from kgclip_jax.data.emoji.caption_words import CONVERSE_PHRASES
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

# What goes on takes the same time on two cores, with what it takes to compile; `teacher` and `all`
# have not been timed, and follow from what their parts cost.
STEPS = dict(clip=1200, longer=820, structure=460, graph=380, teacher=640, all=260)


def get_config(variant: str = "clip") -> ConfigDict:
    """Return the experiment: `clip`, or what goes on: one of STEPS."""
    if variant not in STEPS:
        raise ConfigError(f"there is no variant {variant!r}{suggestion(variant, STEPS)}")
    config = ConfigDict()
    config.model = to_dict(preset("quickstart"))
    world = dict(
        concepts=16,
        unseen_concepts=8,
        scenes=100_000,
        max_objects=2,
        families=("size", "colour"),
        distractor_probability=0.1,
        attribute_probability=0.7,
        relation_probability=0.9,
    )
    emoji = dict(kind="emoji", world=world)
    config.streams = dict(captions=dict(sources=dict(emoji=emoji), rows=128))
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3, b2=0.95, schedule=dict(kind="cosine", warmup_steps=50)
    )
    if variant != "clip":
        config.init_from = "runs/quickstart"
        config.seed = 1  # or it would see the same scenes again
    if variant in ("structure", "all"):
        _add_structure(config)
    if variant in ("graph", "all"):
        _add_graph(config)
    if variant in ("teacher", "all"):
        _add_teacher(config)
    config.total_steps = STEPS[variant]
    return config


def _add_structure(config: ConfigDict) -> None:
    """Negatives made of scene graphs, and the encoder that reads these graphs."""
    config.streams.captions.negatives = dict(
        # The rarer, the more often wanted.
        kinds=dict(swap_objects=1.0, swap_attributes=6.0, swap_relation=4.0)
    )
    config.objectives = dict(structure_clip=dict(margin=0.05, negative_weight=10.0))
    text = config.model.text.transformer
    blocks = dict(width=text.width, depth=2, heads=text.heads, mlp_width=text.mlp_width)
    config.model.knowledge = dict(transformer=blocks, converses=CONVERSE_PHRASES)


def _add_graph(config: ConfigDict) -> None:
    """Triples of the emoji world, read by a fusion; its test asks for names of unseen drawings."""
    place = dict(graph="graphs/emoji", entity_length=16)
    rows = dict(image_text=32, text_text=32)
    config.streams.graph = dict(kind="triplets", rows=rows, **place)
    text = config.model.text.transformer
    blocks = dict(width=text.width, depth=1, heads=text.heads, mlp_width=text.mlp_width)
    config.heads = dict(fusion=dict(transformer=blocks, relations=2))
    config.objectives.triplets = dict(relation_weight=1.0)
    config.evaluation = {"unseen drawings": dict(kind="links", view="image_text", **place)}


def _add_teacher(config: ConfigDict) -> None:
    """What a language model makes of the names, glosses and categories of things."""
    folder = "embeddings/emoji"
    tables = dict(teacher=dict(kind="embeddings", folder=folder))
    config.streams.words = dict(kind="texts", texts=folder, rows=64, length=16, tables=tables)
    heads = {} if "heads" not in config else config.heads.to_dict()
    config.heads = heads | dict(teacher_map=dict(kind="linear", width=384))
    config.objectives.text_distillation = dict(stream="words")
