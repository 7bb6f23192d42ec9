r"""Structure-CLIP's ablation on emoji scenes: what negatives and scene graphs add at equal time.

    for seed in 0 1 2; do
      python launch/train.py --config=configs/emoji_structure.py:base,$seed \
          --workdir=runs/emoji/base-$seed
      for row in clip random semantic encoder all; do
        python launch/train.py --config=configs/emoji_structure.py:$row,$seed \
            --workdir=runs/emoji/$row-$seed
      done
    done
    python launch/compare.py runs/emoji/clip-* runs/emoji/all-*

As in the paper, every row continues one trained CLIP, the base of its seed:

    clip        plain CLIP, longer
    random      negatives by swapping any two words
    semantic    negatives by swapping objects, attributes and the sides of relations
    encoder     no negatives; the knowledge encoder beside the text tower
    all         semantic negatives and the knowledge encoder

Each has the steps that take the time of 1,200 of plain CLIP, by `benchmarks/structure_cost.py` on
two cores. The encoder reads the exact graphs of the scenes, in the captions' own words: who is left
of whom is told, where the text tower must find it out. What it does without that help at test time:

    python launch/evaluate.py --workdir=runs/emoji/all-0 --graphs=parsed   # or none
"""

from ml_collections import ConfigDict

from kgclip_jax.config import complete
from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

# Relations are the hardest to learn.
SEMANTIC = dict(swap_objects=1.0, swap_attributes=1.0, swap_relation=3.0)
RANDOM = dict(swap_words=1.0)

STEPS = dict(base=1200, clip=1200, random=830, semantic=830, encoder=1110, all=730)


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/emoji_structure.py:ROW,SEED`."""
    row, _, seed = arguments.partition(",")
    if row not in STEPS:
        raise ConfigError(f"there is no row {row!r}{suggestion(row, STEPS)}")
    if not seed.isdecimal():
        raise ConfigError(f"{arguments!r}: a seed must follow the row, as in {row},0")
    config = ConfigDict()
    config.seed = int(seed)
    config.model = to_dict(preset("quickstart"))
    world = dict(
        concepts=16,
        unseen_concepts=8,
        scenes=5_000,
        max_objects=2,
        families=("size", "colour"),
        distractor_probability=0.1,
        attribute_probability=0.7,
        relation_probability=0.9,
    )
    config.data = dict(sources=dict(emoji=dict(kind="emoji", world=world)), text_buckets=(16, 24))
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3, b2=0.95, schedule=dict(kind="cosine", warmup_steps=20)
    )
    if row == "base":
        config.optimizer.schedule = dict(kind="constant", warmup_steps=50)
    else:
        config.init_from = f"runs/emoji/base-{seed}"
    if row in ("random", "semantic", "all"):
        config.objectives = dict(
            structure_clip=dict(mode="paper", margin=0.2, negative_weight=10.0)
        )
        config.data.negatives = dict(kinds=RANDOM if row == "random" else SEMANTIC)
    if row in ("encoder", "all"):
        text = config.model.text.transformer
        config.model.knowledge = dict(
            transformer=dict(width=text.width, depth=2, heads=text.heads, mlp_width=text.mlp_width)
        )
    config.batch_size = 128
    config.total_steps = STEPS[row]
    return complete(config)
