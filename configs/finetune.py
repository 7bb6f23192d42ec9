"""Train a released model further, on a folder of captioned photographs.

    python launch/train.py --config=configs/finetune.py:SOURCE --config.data.path=FOLDER

SOURCE is a Hugging Face CLIP or SigLIP folder or hub id, an open_clip folder or hub id, or the
workdir of a run; architecture, preprocessing and tokenizer are the source's own. FOLDER is as in
`configs/flickr8k.py`. Every parameter is trained at one rate; to train less of a tower, or lower
blocks more slowly, change its tuning:

    --config.tuning.vision.layer_decay=0.9
    --config.tuning.vision.kind=frozen
    --config.tuning.text.kind=lora --config.tuning.text.rank=8

A SOURCE with a knowledge encoder needs the scene graphs of the captions in FOLDER/graphs:

    python launch/prepare.py parse --source=photographs:FOLDER --set=split=train \
        --output=FOLDER/graphs
"""

from ml_collections import ConfigDict

from kgclip_jax.loading import settings_of


def get_config(source: str) -> ConfigDict:
    """Return the experiment for a trained model: `--config=configs/finetune.py:SOURCE`."""
    config = ConfigDict(settings_of(source))
    config.data.update(
        path="data/flickr8k",
        sources=dict(
            photographs=dict(
                kind="photographs",
                split="train",
                evaluation_split="dev",
                crop_scale=(0.6, 1.0),
                graphs=None if config.model.get("knowledge") is None else "graphs",
            )
        ),
        text_buckets=(24,) if config.model.text.causal else (),
    )
    form = "softmax" if config.model.logit_bias is None else "sigmoid"
    config.objectives = dict(contrastive=dict(form=form))
    config.optimizer = dict(
        learning_rate=1e-5,
        schedule=dict(kind="cosine", warmup_steps=50),
        weight_decay=0.1,
        b2=0.98,
    )
    config.batch_size = 128
    config.total_steps = 500
    config.evaluate_every = 250
    return config
