"""Ask a trained model which caption fits which picture: benchmarks of composition.

    python launch/evaluate.py --config=configs/composition.py:SOURCE,aro,winoground \
        --config.data.path=FOLDER

SOURCE is as in `configs/finetune.py`; after it come the benchmarks, or none for all of them. FOLDER
holds a folder for each, laid out as `SUITES` says; a missing file is named, with where to get it.
Every number comes with its interval, its chance and its blind row: what the model gets when each
item is asked about the pictures of another one.
"""

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.loading import settings_of
from kgclip_jax.schema import suggestion

SUITES = {
    "aro": {
        "ARO relation": dict(
            kind="aro_relation",
            annotations="aro/visual_genome_relation.json",
            images="aro/images",
        ),
        "ARO attribution": dict(
            kind="aro_attribution",
            annotations="aro/visual_genome_attribution.json",
            images="aro/images",
        ),
    },
    "sugarcrepe": {
        "SugarCrepe": dict(kind="sugarcrepe", annotations="sugarcrepe/data", images="coco/val2017"),
    },
    "sugarcrepe_pp": {
        "SugarCrepe++": dict(
            kind="sugarcrepe_pp", annotations="sugarcrepe_pp/data", images="coco/val2017"
        ),
    },
    "winoground": {
        "Winoground": dict(
            kind="winoground",
            annotations="winoground/examples.jsonl",
            images="winoground/images",
        ),
    },
    "valse": {
        "VALSE": dict(kind="valse", annotations="valse/data", images="valse/images"),
    },
    "vsr": {
        "VSR": dict(kind="vsr", annotations="vsr/test.jsonl", images="vsr/images"),
    },
    "vl_checklist": {
        f"VL-CheckList {topic.lower()}": dict(
            kind="vl_checklist",
            annotations=f"vl_checklist/{topic}/vg",
            images="vl_checklist/images",
        )
        for topic in ("Attribute", "Relation")
    },
    "nlvr": {
        "NLVR": dict(kind="nlvr", annotations="nlvr/dev.json", images="nlvr/images"),
    },
    "swaps": {
        "COCO swaps": dict(
            kind="swaps",
            source=dict(
                kind="karpathy", folder="coco", file="coco/dataset_coco.json", split="test"
            ),
        ),
    },
    "order": {
        "COCO-order": dict(
            kind="order",
            source=dict(
                kind="karpathy", folder="coco", file="coco/dataset_coco.json", split="test"
            ),
        ),
    },
}


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/composition.py:SOURCE[,SUITE...]`."""
    source, *names = arguments.split(",")
    for name in names:
        if name not in SUITES:
            raise ConfigError(f"there is no suite {name!r}{suggestion(name, SUITES)}")
    config = ConfigDict(settings_of(source))
    config.evaluation = {}
    for name in names or SUITES:
        config.evaluation.update(SUITES[name])
    config.data.path = "data"
    config.optimizer = dict(learning_rate=1e-5)
    config.total_steps = 1
    return config
