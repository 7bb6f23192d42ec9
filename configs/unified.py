"""Train with every method at once: scene graphs, a knowledge graph and a language model as teacher.

    python launch/prepare.py parse --source=karpathy:coco --set=file=coco/dataset_coco.json \
        --output=coco/graphs
    python launch/prepare.py graph --source=visualsem:visualsem --output=graphs/visualsem
    python launch/prepare.py embed --teacher=meta-llama/Llama-2-7b-hf --source=karpathy:coco \
        --set=file=coco/dataset_coco.json --output=coco/llama
    python launch/prepare.py concepts --embeddings=coco/llama --output=coco/concepts
    python launch/train.py --config=configs/unified.py:SOURCE,GRAPH,EMBEDDINGS,CONCEPTS \
        --config.data.path=coco

SOURCE is a released CLIP; GRAPH, EMBEDDINGS and CONCEPTS are the absolute paths of
graphs/visualsem, coco/llama and coco/concepts, made as for `configs/structure_clip.py`,
`configs/knowledge_clip.py` and `configs/kd_clip.py`, whose streams, heads, teachers and objectives
stand here side by side, with their weights, in one step:

    structure_clip           contrastive, and the hinge to swapped captions; the knowledge encoder
    triplets, graph          entity-entity, entity-relation and graph-entity losses
    distillation             from SOURCE as it was
    text_distillation,       from the language model
    concepts

Leave one out by `--config.objectives.graph=None`; what nobody reads any more (here the stream of
neighbourhoods) must go the same way, as a run says. The optimizer is that of Knowledge-CLIP: 1e-5
for the towers and 1e-3 for the heads, over ten epochs of the captions.

No numbers of ours: no released weights were at hand. `configs/emoji_unified.py` tells, on emoji
scenes, what each method gives alone and what all of them give together in equal time.
"""

from ml_collections import ConfigDict

from configs import kd_clip, knowledge_clip, structure_clip
from kgclip_jax.errors import ConfigError


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/unified.py:SOURCE,GRAPH,EMBEDDINGS,CONCEPTS`."""
    source, *folders = arguments.split(",")
    if len(folders) != 3 or not all([source, *folders]):
        raise ConfigError("give SOURCE,GRAPH,EMBEDDINGS,CONCEPTS")
    graph, embeddings, concepts = folders
    config = structure_clip.get_config(f"{source},paper")
    knowledge = knowledge_clip.get_config(f"{source},{graph}")
    taught = kd_clip.get_config(f"{source},{embeddings},{concepts}")
    captions = config.streams.captions
    captions.tables = taught.streams.captions.tables
    captions.rows = knowledge.streams.captions.rows
    config.streams = {**knowledge.streams, "captions": captions}
    config.heads = {**knowledge.heads, **taught.heads}
    config.teachers = knowledge.teachers
    del taught.objectives.contrastive  # a part of Structure-CLIP's
    config.objectives = {**config.objectives, **knowledge.objectives, **taught.objectives}
    config.optimizer, config.total_steps = knowledge.optimizer, knowledge.total_steps
    return config
