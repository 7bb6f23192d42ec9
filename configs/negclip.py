"""Train NegCLIP (Yuksekgonul et al., ICLR 2023): wrong captions as further columns of the softmax.

    python launch/train.py --config=configs/negclip.py:SOURCE --config.data.path=coco

SOURCE is OpenAI's ViT-B/32: ViT-B-32.pt, a Hugging Face folder, or the hub id
openai/clip-vit-base-patch32. coco is as in `configs/structure_clip.py`. One negative of each
caption is drawn anew at every step; which ones, a further argument says:

    :SOURCE             two words or phrases of one class (nouns, adjectives, adverbs, verbs, noun
                        phrases) change places, as in the authors' negatives: drawn from the list
                        coco/negclip.tsv, for which theirs, train_neg_clip.tsv, will do as well
                        (config.streams.captions.negatives.file)
    :SOURCE,random      two words change places, whatever they are
    :SOURCE,semantic    objects, attributes or sides of a relation change places, by the scene
                        graphs in coco/graphs: our own kind, without what is true all the same
    :SOURCE,plain       none: plain fine-tuning, to compare with, on the same pictures, captions and
                        steps

The list is made once, by the tags of spaCy's en_core_web_sm, which the authors use too; of their
7,370 published negatives of validation captions 95.3 % are among those that it draws from
(benchmarks/published_swaps.py):

    python launch/prepare.py negclip --source=karpathy:coco --set=file=coco/dataset_coco.json \
        --output=coco/negclip.tsv

The graphs of the third, likewise:

    python launch/prepare.py parse --source=karpathy:coco --set=file=coco/dataset_coco.json \
        --output=coco/graphs

The authors also add to each picture one of its three nearest, with a caption and a negative of its
own. `:SOURCE,class,neighbours` does so, by the file that this command writes with the pictures'
embeddings by SOURCE:

    python launch/prepare.py neighbours --source=karpathy:coco --set=file=coco/dataset_coco.json \
        --model=SOURCE --output=coco/neighbours.npy

or, with `--listed=train_neg_clip.tsv` in the place of `--model`, of the authors' own list.

As in the authors' code (vinid/neg_clip), by the command in the README of
mertyg/vision-language-models-are-bows where it says a number, else by the defaults:

    loss              softmax with the negatives of the batch as further columns of the pictures'
                      side; captions choose among pictures
    negatives         one of each caption's, drawn at every step; of two words or phrases of a class
    hard images       with `neighbours`: one of the three nearest, drawn at every step, so that a
                      batch of 256 is a matrix of 512 x 1,024
    data              COCO's train and restval of Karpathy; crops of 90 to 100 % of a picture
    optimizer         AdamW at 1e-6, b1 0.9, b2 0.98, eps 1e-6, decay 0.2 of whatever has two
                      dimensions, no clipping; 50 steps of warm-up, cosine to zero in 5 epochs
    batch             256
    epoch             the one of the best retrieval of validation pictures, by

                          python launch/export.py --workdir=WORKDIR --format=huggingface \
                              --best="COCO val, text-to-image R@1" --output=BEST
    temperature       trained, at most 100

What is not:

    hard images       not without `neighbours`, which needs the pictures embedded first
    negatives         of a caption without any masked; the authors' files have no such caption
    pairs             a picture comes once an epoch with one of its captions drawn; captions that
                      are equal, or of one picture, are no negatives of each other
    nearest           by SOURCE's own embeddings of pictures; the authors publish their choice alone
    precision         bfloat16 on accelerators with losses in float32, there float16 by autocast

An epoch is 113,287 pairs; for another number set config.total_steps, evaluate_every and
checkpoints.every.

What others report of NegCLIP, to aim at (no number of ours, and with neighbours): ARO relation
80-82, attribution 70-72, SugarCrepe 82-84, COCO text-to-image R@1 about 45. Retrieval on the test
split (5,000 pictures, and their five folds of 1,000) is measured here; the benchmarks of
composition by

    python launch/evaluate.py --config=configs/composition.py:BEST,aro,sugarcrepe
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of

PAIRS, EPOCHS, BATCH_SIZE = 113_287, 5, 256

NEGATIVES = {
    "class": dict(kinds=dict(listed=1.0), file="negclip.tsv"),
    "random": dict(kinds=dict(swap_words=1.0)),
    "semantic": dict(kinds=dict(swap_objects=1.0, swap_attributes=1.0, swap_relation=1.0)),
    "plain": None,
}


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment.

    `--config=configs/negclip.py:SOURCE[,class|random|semantic|plain[,neighbours]]`.
    """
    source, negatives, neighbours, *rest = [*arguments.split(","), "", ""]
    negatives = negatives or "class"
    if negatives not in NEGATIVES:
        raise ConfigError(f"no negatives {negatives!r}; there are {', '.join(NEGATIVES)}")
    if neighbours not in ("", "neighbours") or any(rest):
        raise ConfigError("give SOURCE, at most one kind of negatives, and neighbours or nothing")
    config = ConfigDict(settings_of(source))
    config.data.path = "data/coco"
    karpathy = dict(kind="karpathy", file="dataset_coco.json")
    coco = dict(
        karpathy,
        split="train",
        crop_scale=(0.9, 1.0),
        graphs="graphs" if negatives == "semantic" else None,
    )
    config.streams = dict(
        captions=dict(
            sources=dict(coco=coco),
            rows=2 * BATCH_SIZE if neighbours else BATCH_SIZE,
            neighbours=dict(coco="neighbours.npy") if neighbours else {},
            negatives=NEGATIVES[negatives],
        )
    )
    config.evaluation = {
        "COCO val": dict(kind="retrieval", source=dict(karpathy, split="val")),
        "COCO test": dict(kind="retrieval", source=dict(karpathy, split="test"), folds=5),
    }
    config.evaluate_every = PAIRS // BATCH_SIZE
    config.checkpoints = dict(every=PAIRS // BATCH_SIZE, keep=EPOCHS + 1)
    config.objectives = dict(contrastive=dict(form="softmax", negatives=negatives != "plain"))
    config.optimizer = dict(
        learning_rate=1e-6,
        schedule=dict(kind="cosine", warmup_steps=50),
        weight_decay=0.2,
        b2=0.98,
        eps=1e-6,
        clip_norm=None,
        groups=(dict(pattern="positions$", weight_decay=0.2),),
    )
    config.total_steps = EPOCHS * PAIRS // BATCH_SIZE
    return config
