"""Fit linear classifiers to a trained model's picture embeddings, and measure them.

    python launch/evaluate.py --config=configs/linear_probe.py:SOURCE --config.data.path=FOLDER
    python launch/evaluate.py --config=configs/linear_probe.py:SOURCE,food101,pets \
        --config.data.path=FOLDER

SOURCE is as in `configs/finetune.py`. FOLDER holds the folders `train` and `test`, each with a
folder of pictures for each class; or, in the second form, NAME/train and NAME/test for each set,
with the mean over the sets beneath. `kgclip_jax/evaluation/linear_probe.py` says what is fitted.
"""

from ml_collections import ConfigDict

from kgclip_jax.loading import settings_of


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment for a trained model and the names of sets: `SOURCE[,SET...]`."""
    source, *names = arguments.split(",")
    config = ConfigDict(settings_of(source))
    config.evaluation = {
        name: dict(
            kind="linear_probe",
            training_folder=f"{name}/train",
            folder=f"{name}/test",
            averaged_as="all sets",
        )
        for name in names
    } or dict(pictures=dict(kind="linear_probe", training_folder="train", folder="test"))
    config.data.path = "data"
    config.optimizer = dict(learning_rate=1e-5)
    config.total_steps = 1
    return config
