"""Train a small CLIP on emoji scenes, on a laptop, in minutes.

python launch/train.py --config=configs/quickstart.py
"""

from ml_collections import ConfigDict

from kgclip_jax.config import complete
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import to_dict


def get_config() -> ConfigDict:
    """Return the experiment."""
    config = ConfigDict()
    config.model = to_dict(preset("quickstart"))
    config.data = dict(
        sources=dict(emoji=dict(kind="emoji", world=dict())),
        text_buckets=(16, 24),
        workers=1,
    )
    config.objectives = dict(contrastive=dict(form="softmax"))
    config.optimizer = dict(
        learning_rate=2e-3, schedule=dict(kind="cosine", warmup_steps=50), weight_decay=0.1
    )
    config.batch_size = 128
    config.total_steps = 700
    config.seed = 0
    config.log_every = 10
    return complete(config)
