"""Train a small CLIP on a folder of captioned photographs, and evaluate retrieval on its dev split.

    python launch/train.py --config=configs/flickr8k.py --config.data.path=FOLDER

FOLDER holds `captions.txt` (CSV: image,caption), `splits.json` and `images/`, as Flickr8k does. A
folder in the COCO layout works with

    --config.streams.captions.sources.photographs.split=train2017

and so do other tables of captions (tabs, `filepath` and `title`, JSON lines) and texts beside the
pictures, see docs/data.md:

    --config.streams.captions.sources.photographs.file={split}.csv

With an argument more, `:small,clip`, it asks swap tests too, which need the parser (`pip install -r
requirements-parse.txt`). `negclip` has negatives from scene graphs in its softmax, `structure` is
Structure-CLIP with its knowledge encoder; their graphs are parsed once:

    python launch/prepare.py parse --source=photographs:FOLDER --output=FOLDER/graphs
    python launch/train.py --config=configs/flickr8k.py:small,structure --config.data.path=FOLDER

Six thousand photographs teach a model from scratch little: expect recall well above chance and far
below that of released models, which have seen 400 million.
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

# Of one time, by `benchmarks/structure_cost.py --model=small` on two cores.
STEPS = dict(clip=2000, negclip=1740, structure=1575)


def get_config(arguments: str = "small") -> ConfigDict:
    """Return the experiment: `--config=configs/flickr8k.py:MODEL[,clip|negclip|structure]`."""
    model, _, variant = arguments.partition(",")
    if variant and variant not in STEPS:
        raise ConfigError(f"there is no variant {variant!r}{suggestion(variant, STEPS)}")
    config = ConfigDict()
    config.model = to_dict(preset(model))
    config.data = dict(path="data/flickr8k", workers=1)
    photographs = dict(
        kind="photographs", split="train", evaluation_split="dev", crop_scale=(0.4, 1.0)
    )
    config.streams = dict(captions=dict(sources=dict(photographs=photographs), rows=128))
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3,
        schedule=dict(kind="cosine", warmup_steps=100),
        weight_decay=0.2,
        b2=0.98,
    )
    config.total_steps = STEPS[variant or "clip"]
    config.seed = 0
    config.log_every = 10
    config.evaluate_every = 500
    if variant:
        config.evaluation = {
            "dev swaps": dict(kind="swaps", source=dict(kind="photographs", split="dev"))
        }
    if variant in ("negclip", "structure"):
        config.streams.captions.sources.photographs.graphs = "graphs"
        config.streams.captions.negatives = dict(
            kinds=dict(swap_objects=1.0, swap_attributes=1.0, swap_relation=1.0)
        )
    if variant == "negclip":
        config.objectives.contrastive.negatives = True
    if variant == "structure":
        config.objectives = dict(structure_clip=dict(margin=0.05, negative_weight=10.0))
        text = config.model.text.transformer
        blocks = dict(width=text.width, depth=2, heads=text.heads, mlp_width=text.mlp_width)
        config.model.knowledge = dict(transformer=blocks)
    return config
