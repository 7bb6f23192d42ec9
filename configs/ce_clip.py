"""Train CE-CLIP (Zhang et al., CVPR 2024): four kinds of wrong captions, told apart in three ways.

    python launch/train.py --config=configs/ce_clip.py:SOURCE --config.data.path=coco

SOURCE is OpenAI's ViT-B/32: ViT-B-32.pt, a Hugging Face folder, or the hub id
openai/clip-vit-base-patch32. coco is a folder with COCO's pictures in train2014/ and val2014/,
annotations/captions_train2014.json, and Karpathy's dataset_coco.json for the evaluation. Further
arguments, in any order:

    :SOURCE,paper      the intra-modal term as the paper's formula reads, instead of that of the
                       released code
    :SOURCE,own        wrong captions by our rules, from the scene graphs in coco/graphs
    :SOURCE,plain      no wrong captions and the contrastive term alone: plain fine-tuning, to
                       compare with, on the same pictures, captions and steps

Without `own` and `plain`, wrong captions are those that the authors' data/dataset.py makes by spaCy
and distilroberta-base, in files of 50,000 captions that nobody publishes. They are pickles, which
only who made them should read; this writes them as the JSON that is read here:

    python -c "import glob, json, numpy; json.dump([entry for file in sorted(glob.glob(
        'generated_data/coco_train/*.npy')) for entry in numpy.load(file, allow_pickle=True)],
        open('coco/ce_clip.json', 'w'))"

The graphs of `own` are made by (pip install -r requirements-parse.txt)

    python launch/prepare.py parse --source=photographs:coco --set=split=train2014 \
        --output=coco/graphs

As in the authors' code, scripts/run_multiple_nodes.sh where it says a number:

    loss              softmax with all wrong captions as further columns of the pictures' side,
                      0.3 times the intra-modal and 0.2 times the ranking term
    margins           one a kind, mean of pairs less mean of wrong ones, from 0 to 10 logits
    negatives         of each caption one a kind: the first two of three nouns exchanged; an
                      adjective, a noun, a verb replaced
    data              all 414,113 captions of COCO's train2014; crops of 90 to 100 % of a picture
    optimizer         AdamW at 5e-6, b1 0.9, b2 0.98, eps 1e-6, decay 0.1 of whatever has two
                      dimensions, no clipping; 50 steps of warm-up, cosine
    batch             1,512: 378 on each of four GPUs
    temperature       trained, at most 100

What is not:

    epochs            5, as in scripts of the time of the released checkpoint, epoch_5.pt; today's
                      script says 10
    margins           of this step, there of the one before, and 0 in the first of each epoch: a
                      step depends on nothing but its batch here
    right answer      of the code's intra-modal term, for all captions: the first one's adjective
                      replaced, there its nouns exchanged
    absent negatives  masked in all three terms; there "###" is embedded, and masked in the third
                      alone, and so is the word that fills an empty mask, masked in none
    pairs             a picture comes once an epoch with one of its captions drawn, there once with
                      each of its five; captions that are equal, or of one picture, are no
                      negatives of each other
    gradients         of all rows; there each GPU has those of its own rows, and their mean is a
                      quarter of ours, which AdamW undoes but for eps
    precision         bfloat16 on accelerators with losses in float32, there float16 by autocast
    own               another word of the same form by its frequency in captions, there the fourth
                      guess of a language model; nouns change places where they agree in number

What the authors report, to aim at (no number of ours): ARO relation 83.0, attribution 76.4,
SugarCrepe 85.2, VALSE 72.5; what others do of their checkpoint: COCO text-to-image R@1 47.1, and
ImageNet 49.9 where CLIP has 63.3. Retrieval on Karpathy's test split (5,000 pictures, and their
five folds of 1,000) is measured here; the benchmarks of composition by

    python launch/evaluate.py --config=configs/composition.py:WORKDIR,aro,sugarcrepe,valse
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of

CAPTIONS, EPOCHS, BATCH_SIZE = 414_113, 5, 4 * 378
INTRA_MODAL = dict(code="code", paper="formula")
KINDS = dict(
    listed=("listed_relation", "listed_adjective", "listed_noun", "listed_verb"),
    own=("swap_objects", "replace_attribute", "replace_object", "replace_relation"),
    plain=(),
)


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment.

    `--config=configs/ce_clip.py:SOURCE[,code|paper][,listed|own|plain]`.
    """
    source, mode, negatives = _arguments(arguments)
    config = ConfigDict(settings_of(source))
    config.data.path = "data/coco"
    photographs = dict(
        kind="photographs",
        split="train2014",
        crop_scale=(0.9, 1.0),
        graphs="graphs" if negatives == "own" else None,
    )
    kinds = KINDS[negatives]
    settings = dict(
        kinds=dict.fromkeys(kinds, 1.0),
        count=len(kinds),
        one_of_each=True,
        file="ce_clip.json" if negatives == "listed" else None,
    )
    config.streams = dict(
        captions=dict(
            sources=dict(coco=photographs),
            rows=BATCH_SIZE,
            negatives=settings if kinds else None,
        )
    )
    test = dict(kind="karpathy", file="dataset_coco.json", split="test")
    config.evaluation = {"COCO test": dict(kind="retrieval", source=test, folds=5)}
    config.objectives = dict(contrastive=dict(form="softmax", negatives=bool(kinds)))
    if kinds:
        config.objectives.ce_clip = dict(
            intra_modal=INTRA_MODAL[mode],
            intra_modal_weight=0.3,
            ranking_weight=0.2,
            margin="mean",
            upper_bound=10.0,
        )
    config.optimizer = dict(
        learning_rate=5e-6,
        schedule=dict(kind="cosine", warmup_steps=50),
        weight_decay=0.1,
        b2=0.98,
        eps=1e-6,
        clip_norm=None,
        groups=(dict(pattern="positions$", weight_decay=0.1),),
    )
    config.total_steps = EPOCHS * (CAPTIONS // BATCH_SIZE)
    return config


def _arguments(text: str) -> tuple[str, str, str]:
    """Return the source, the mode and the negatives."""
    source, *rest = text.split(",")
    modes = [argument for argument in rest if argument in INTRA_MODAL]
    negatives = [argument for argument in rest if argument in KINDS]
    if len(modes) > 1 or len(negatives) > 1 or len(modes) + len(negatives) < len(rest):
        raise ConfigError("give SOURCE, at most one of code and paper, and of listed, own, plain")
    if modes and negatives == ["plain"]:
        raise ConfigError("code and paper are of terms that plain has not: leave one out")
    return source, *(modes or ["code"]), *(negatives or ["listed"])
