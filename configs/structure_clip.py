"""Train Structure-CLIP (Huang et al., AAAI 2024): a CLIP that reads the scene graphs of captions.

    python launch/prepare.py parse --source=karpathy:coco --set=file=coco/dataset_coco.json \
        --output=coco/graphs
    python launch/train.py --config=configs/structure_clip.py:SOURCE --config.data.path=coco

SOURCE is OpenAI's ViT-B/32, as the paper has it: ViT-B-32.pt, a Hugging Face folder, or the hub id
openai/clip-vit-base-patch32. coco is a folder with Karpathy's dataset_coco.json and COCO's pictures
in train2014/ and val2014/; `parse` (pip install -r requirements-parse.txt) needs it once, from the
folder that holds coco. Further arguments, in any order:

    :SOURCE,paper      the paper's loss instead of that of its released code
    :SOURCE,plain      plain fine-tuning, to compare with: the same pictures, captions, steps and
                       optimizer, the contrastive loss alone, no encoder and no negatives
    :SOURCE,listed     the authors' wrong captions, from their train_coco_aug_withneg_..._merge.json
                       under the name coco/structure_clip.json; its graphs take the place of parsed
                       ones, and captions that it lacks are left out:

        python launch/prepare.py graphs --annotations=structure_clip:coco/structure_clip.json \
            --source=karpathy:coco --set=file=coco/dataset_coco.json --output=coco/graphs \
            --bad_share=1

    :SOURCE,BERT       scene graphs read as word pieces by the first six layers of BERT, as the
                       paper does: a Hugging Face folder of bert-base-uncased with tokenizer.json
                       and model.safetensors. Without it the knowledge encoder shares the text
                       tower's tokens, and starts from random parameters.

As in the released code (zjukg/Structure-CLIP; script/run.sh where it says a number):

    loss              hinge to the hardest caption and picture of the batch, margin 0.2, mild in the
                      first 100 steps, and 5 times the hinge to the negative, margin 0.1
    texts             with what the encoder adds, 0.2 of a unit vector, in the first hinge; without
                      it in the second
    encoder           six triples of three elements of five word pieces, h + r - t, six layers of
                      BERT, its first slot, a linear map (with `BERT`)
    data              crops of 90 to 100 % of a picture
    optimizer         AdamW at 5e-6 throughout, b1 0.9, b2 0.999, eps 1e-8, decay 0.1 of every
                      parameter with a gradient but the temperature, no clipping
    batch, precision  64, float32; 10 epochs

What is not:

    paper             with `:SOURCE,paper` contrastive in place of the first hinge, weight 1, and
                      fused texts in both; the paper does not say the margin
    encoder           BERT's dropout left out; a text without triples gets nothing, there what six
                      empty slots give; without `BERT` the text tower's tokens and random layers
    graphs            by our parser, but with `listed`
    negatives         but with `listed`, attributes where two can change places, else nouns of a
                      relation that agree in number (agreement=False for all); masked where there
                      is none, there the negative of an earlier caption; and where a scene graph
                      says that it is true all the same
    pairs             113,287 in an epoch: each picture with one of its captions drawn; there about
                      100,000 captions that are rich in structure, nearly those of `listed`, once
                      each; captions that are equal, or of one picture, are no
                      negatives of each other
    step              the last; the authors test every 200 steps, and keep no weights

For another number of pairs set config.total_steps.

What others report of ViT-B/32, to aim at (no number of ours): ARO relation 82-85, attribution
80-82.5, COCO text-to-image R@1 about 39.6; zero-shot classification falls far. Retrieval on the
test split (5,000 pictures, and their five folds of 1,000) is measured here, its captions parsed at
the start; the benchmarks of composition by

    python launch/evaluate.py --config=configs/composition.py:WORKDIR,aro,sugarcrepe
"""

from pathlib import Path

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of

PAIRS, EPOCHS, BATCH_SIZE = 113_287, 10, 64
OBJECTIVES = dict(code="structure_clip_code", paper="structure_clip", plain="contrastive")

BERT_BASE = dict(
    width=768, depth=6, heads=12, mlp_width=3072, activation="gelu_erf", norm_eps=1e-12
)
BERT_VOCABULARY = 30522


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment.

    `--config=configs/structure_clip.py:SOURCE[,code|paper|plain][,listed][,BERT]`.
    """
    source, mode, listed, bert = _arguments(arguments)
    config = ConfigDict(settings_of(source))
    plain = mode == "plain"
    if not plain:
        _add_encoder(config, bert)
    config.data.path = "data/coco"
    karpathy = dict(kind="karpathy", file="dataset_coco.json")
    coco = dict(karpathy, split="train", crop_scale=(0.9, 1.0), structured=listed)
    coco["graphs"] = None if plain and not listed else "graphs"
    negatives = dict(kinds=dict(structure_clip=1.0))
    if listed:
        negatives = dict(kinds=dict(listed=1.0), file="structure_clip.json")
    config.streams = dict(
        captions=dict(
            sources=dict(coco=coco),
            rows=BATCH_SIZE,
            negatives=None if plain else negatives,
        )
    )
    test = dict(karpathy, split="test")
    config.evaluation = {"COCO test": dict(kind="retrieval", source=test, folds=5)}
    config.objectives = {OBJECTIVES[mode]: {}}
    config.optimizer = dict(
        learning_rate=5e-6,
        schedule=dict(kind="constant"),
        b1=0.9,
        b2=0.999,
        eps=1e-8,
        clip_norm=None,
        groups=(dict(pattern=".*", weight_decay=0.1),),  # norms, biases and positions, too
    )
    if not plain:  # the code's loss has no temperature; with the paper's, decay would sink it
        untouched = dict(pattern="^model/logit_scale$", weight_decay=0.0)
        config.optimizer.groups = (untouched, *config.optimizer.groups)
    config.execution = dict(dtype="float32")
    config.total_steps = EPOCHS * PAIRS // BATCH_SIZE
    return config


def _add_encoder(config: ConfigDict, bert: str | None) -> None:
    """Give the model its knowledge encoder, as deep as the first layers of BERT."""
    if bert is None:
        blocks = {**config.model.text.transformer, "depth": BERT_BASE["depth"]}
        config.model.knowledge = dict(transformer=blocks, weight=0.2, elements="text")
        return
    config.model.knowledge = dict(
        transformer=BERT_BASE, weight=0.2, elements="wordpiece", vocabulary=BERT_VOCABULARY
    )
    config.knowledge_init_from = bert
    config.element_tokenizer = dict(kind="json", file=str(Path(bert) / "tokenizer.json"), pad_id=0)


def _arguments(text: str) -> tuple[str, str, bool, str | None]:
    """Return the source, the mode, whether negatives are listed, and BERT's folder, if given."""
    source, *rest = text.split(",")
    modes = [argument for argument in rest if argument in OBJECTIVES]
    folders = [argument for argument in rest if argument not in (*OBJECTIVES, "listed")]
    if len(modes) > 1 or len(folders) > 1:
        raise ConfigError("give SOURCE, and at most one of code, paper, plain, and one BERT folder")
    if folders and modes == ["plain"]:
        raise ConfigError("plain has no encoder that could start from BERT: leave one out")
    if folders and not Path(folders[0]).is_dir():
        raise ConfigError(
            f"{folders[0]!r} is no folder of BERT, and none of code, paper, plain, listed"
        )
    mode, bert = (modes or ["code"])[0], (folders or [None])[0]
    return source, mode, "listed" in rest, bert
