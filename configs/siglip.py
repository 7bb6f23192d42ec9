"""Pre-train SigLIP (Zhai et al., ICCV 2023) from scratch on tar archives of captioned pictures.

    python launch/train.py --config=configs/siglip.py:TOKENIZER --config.data.path=SHARDS

TOKENIZER is the file of SigLIP's word pieces: spiece.model of google/siglip-base-patch16-224 on the
Hugging Face hub (32,000 pieces, learnt on C4). SHARDS is a folder of archives as img2dataset writes
them. Another size: :TOKENIZER,SigLIP-L-16-256 or any SigLIP preset; it takes a pod or a node of
accelerators, whose number config.mesh and config.streams.captions.rows must fit.

As in the paper, and in big_vision's code (trainers/proj/image_text/siglip.py, optax.py) where the
paper is silent:

    loss              sigmoid of all pairs of the batch, summed over pairs, by pictures averaged;
                      s from 10, bias from -10, no limit on s
    model             ViT with attention pooling, no class token; bidirectional text, its last
                      token read; no projection of pictures; 224 x 224
    initial values    big_vision's: tests/convert/test_initial_values.py
    text              lower case without punctuation, 64 tokens, as the released models
    optimizer         Adafactor without relative steps, b1 0.9 in bfloat16, b2 at most 0.95
    rate, decay       1e-3, decoupled decay of 1e-4 on kernels alone (here times the rate: 0.1)
    batch, pairs      32,768; nine billion pairs, as in the paper's study of batch sizes

What is not:

    data              WebLI is not public
    warm-up, clipping 20,000 steps, cosine, norm 1: SigLIP 2's (Tschannen et al. 2025); the paper
                      does not say
    second moments    of queries, keys and values by rows and columns of one kernel, there head by
                      head; of sides below 128 (there 32) not factored
    crops             of 90 to 100 % of a picture; the paper does not say
    captions          equal ones, and those of one picture, are no negatives of each other

No number of ours: nothing of this size was trained.
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import to_dict

PAIRS, BATCH_SIZE = 9_000_000_000, 32_768


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/siglip.py:TOKENIZER[,PRESET]`."""
    tokenizer, _, name = arguments.partition(",")
    model = preset(name or "SigLIP-B-16")
    if model.logit_bias is None or not tokenizer:
        raise ConfigError("give the file of SigLIP's word pieces, and then a SigLIP preset or none")
    config = ConfigDict()
    config.model = to_dict(model)
    config.tokenizer = dict(kind="json", file=tokenizer, pad_id=1, clean="canonicalize")
    config.data = dict(path="data/shards")
    shards = dict(kind="webdataset", shards="*.tar")
    config.streams = dict(captions=dict(sources=dict(shards=shards), rows=BATCH_SIZE))
    config.objectives = dict(contrastive=dict(form="sigmoid"))
    config.optimizer = dict(
        kind="adafactor",
        learning_rate=1e-3,
        schedule=dict(kind="cosine", warmup_steps=20_000),
        b1=0.9,
        b2=0.95,
        moment_dtype="bfloat16",
        weight_decay=0.1,
        clip_norm=1.0,
        groups=(dict(pattern="^model/text/embedding$", weight_decay=0.0),),
    )
    config.total_steps = PAIRS // BATCH_SIZE
    return config
