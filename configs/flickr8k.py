"""Train a small CLIP on a folder of captioned photographs, and evaluate retrieval on its dev split.

    python launch/train.py --config=configs/flickr8k.py --config.data.path=FOLDER

FOLDER holds `captions.txt` (CSV: image,caption), `splits.json` and `images/`, as Flickr8k does; a
folder in the COCO layout works with `--config.data.sources.photographs.split=train2017`.

Six thousand photographs teach a model from scratch little: expect recall well above chance and far
below that of released models, which have seen 400 million.
"""

from ml_collections import ConfigDict

from kgclip_jax.config import complete
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import to_dict


def get_config(model: str = "small") -> ConfigDict:
    """Return the experiment for a model preset: `--config=configs/flickr8k.py:ViT-B-32`."""
    config = ConfigDict()
    config.model = to_dict(preset(model))
    config.data = dict(
        path="data/flickr8k",
        sources=dict(
            photographs=dict(
                kind="photographs",
                split="train",
                evaluation_split="dev",
                crop_scale=(0.4, 1.0),
            )
        ),
        text_buckets=(24,),
        workers=1,
    )
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=1e-3,
        schedule=dict(kind="cosine", warmup_steps=100),
        weight_decay=0.2,
        b2=0.98,
    )
    config.batch_size = 128
    config.total_steps = 2000
    config.seed = 0
    config.log_every = 10
    config.evaluate_every = 500
    return complete(config)
