r"""Pre-train a CLIP from scratch on tar archives of captioned pictures.

    python launch/train.py --config=configs/pretrain.py:ViT-B-32 --config.data.path=SHARDS
    python launch/plan.py --config=configs/pretrain.py:ViT-B-32 --topology=v5e:16x16

SHARDS is a folder of archives as img2dataset writes them (LAION, DataComp, CC12M). Presets are
ViT-B-32, ViT-B-16, ViT-L-14 and the others of `kgclip_jax/models/presets.py` with CLIP's layout.
The second command needs neither data nor devices, and says what the run takes of a pod.

    loss              softmax over the global batch, compared 4,096 captions at a time
    batch             32,768 pairs
    optimizer         AdamW, b1 0.9, b2 0.98, epsilon 1e-6, decay 0.2 but for norms and biases
    rate              5e-4, cosine, 2,000 steps of warm-up; 4e-4 for L/14 and above
    initial values    as CLIP's

These are CLIP's (Radford et al., ICML 2021, tables 18 to 20), who saw 400 million pairs 32 times,
12.8 billion: as many as at DataComp's largest scale (Gadre et al., NeurIPS 2023). Not as there:
crops cover 90 to 100 % of a picture, and equal captions, or those of one picture, are no negatives
of each other.

No number of ours: nothing of this size was trained.
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import to_dict

PAIRS, BATCH_SIZE = 12_800_000_000, 32_768
BASE_WIDTH = 768


def get_config(name: str = "ViT-B-32") -> ConfigDict:
    """Return the experiment: `--config=configs/pretrain.py:PRESET`."""
    model = preset(name)
    if model.logit_bias is not None:
        raise ConfigError(f"{name} has SigLIP's layout: see configs/siglip.py")
    config = ConfigDict()
    config.model = to_dict(model)
    config.data = dict(path="data/shards")
    shards = dict(kind="webdataset", shards="*.tar")
    config.streams = dict(captions=dict(sources=dict(shards=shards), rows=BATCH_SIZE))
    config.objectives = dict(contrastive=dict(form="softmax", chunk_size=4096))
    config.optimizer = dict(
        learning_rate=5e-4 if model.vision.transformer.width <= BASE_WIDTH else 4e-4,
        schedule=dict(kind="cosine", warmup_steps=2_000),
        b2=0.98,
        eps=1e-6,
        weight_decay=0.2,
    )
    config.total_steps = PAIRS // BATCH_SIZE
    return config
