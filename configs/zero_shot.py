"""Classify pictures with a trained model, by the names of their classes.

    python launch/evaluate.py --config=configs/zero_shot.py:SOURCE --config.data.path=FOLDER

SOURCE is as in `configs/finetune.py`. FOLDER holds a folder of pictures for each class, whose name
is the class's, as ImageNet's validation set is usually laid out; with names and templates from
files:

    --config.evaluation.pictures.classes=classes.json
    --config.evaluation.pictures.templates=templates.json

`kgclip_jax/data/evaluation_config.py` says how to get ImageNet's.
"""

from ml_collections import ConfigDict

from kgclip_jax.loading import settings_of


def get_config(source: str) -> ConfigDict:
    """Return the experiment for a trained model: `--config=configs/zero_shot.py:SOURCE`."""
    config = ConfigDict(settings_of(source))
    config.evaluation = dict(pictures=dict(kind="classification", folder="."))
    config.data.path = "data/pictures"
    config.optimizer = dict(learning_rate=1e-5)
    config.total_steps = 1
    return config
