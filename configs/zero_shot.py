"""Classify pictures with a trained model, by the names of their classes.

    python launch/evaluate.py --config=configs/zero_shot.py:SOURCE --config.data.path=FOLDER

SOURCE is as in `configs/finetune.py`. FOLDER holds a folder of pictures for each class, whose name
is the class's, as ImageNet's validation set is usually laid out; with names and templates from
files:

    --config.evaluation.pictures.classes=classes.json
    --config.evaluation.pictures.templates=templates.json

`kgclip_jax/data/classification.py` says how to get ImageNet's.

Several sets in one table, with the mean over them beneath:

    python launch/evaluate.py --config=configs/zero_shot.py:SOURCE,food101,pets \
        --config.data.path=FOLDER

where FOLDER holds for each set NAME the folder NAME/test, with a folder of pictures for each class,
and the files NAME/classes.json and NAME/templates.json. (`--config.evaluation.NAME.templates=None`
for a set without such a file.)
"""

from ml_collections import ConfigDict

from kgclip_jax.loading import settings_of


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment for a trained model and the names of sets: `SOURCE[,SET...]`."""
    source, *names = arguments.split(",")
    config = ConfigDict(settings_of(source))
    config.evaluation = {
        name: dict(
            kind="classification",
            folder=f"{name}/test",
            classes=f"{name}/classes.json",
            templates=f"{name}/templates.json",
            averaged_as="all sets",
        )
        for name in names
    } or dict(pictures=dict(kind="classification", folder="."))
    config.data.path = "data" if names else "data/pictures"
    config.optimizer = dict(learning_rate=1e-5)
    config.total_steps = 1
    return config
