"""Train Knowledge-CLIP (Pan et al., NeurIPS 2022): a CLIP that goes on with knowledge graphs.

    python launch/prepare.py graph --source=visualsem:visualsem --output=graphs/visualsem
    python launch/train.py --config=configs/knowledge_clip.py:SOURCE,GRAPH --config.data.path=coco

SOURCE is a released CLIP (the paper: OpenAI's ViT-L/14, and ViT-B/32 for its ablations): a Hugging
Face folder or hub id, an open_clip folder, OpenAI's own file, or a run of this library. GRAPH is
the absolute path of any folder that `prepare.py graph` writes (docs/data.md): VisualSem, Visual
Genome, ConceptNet and others, or several of them in one (`--source=joined:graphs`); its triples are
learnt by whatever its entities have, images or texts. coco is a folder with Karpathy's
dataset_coco.json and COCO's pictures, whose captions keep the model near what it was. A further
argument:

    :SOURCE,GRAPH,safe     the contrastive loss of the captions too

As in the paper:

    start             both towers from released weights; a fusion of four blocks of width 1,024 over
                      their un-pooled tokens, and what reads it, from random values
    losses            entity-entity, entity-relation, graph-entity and distillation from the frozen
                      original, all of weight 1; with `safe` contrastive, weight 1
    what is absent    zeros in its slots
    rates             1e-5 for the towers, 1e-3 for all else, warm-up and cosine; drop path 0.1

What the paper does not say, or we could not find, is our choice:

    read-out          the mean over the tokens of what is present, a norm and a linear map, as wide
                      as the embedding of CLIP; one temperature for all losses on the fusion, learnt
                      from 0.07
    entity-entity     head or tail is asked for at random, rows and columns are averaged; equal
                      entities and queries are no negatives of each other
    relations         those of GRAPH, told apart by a hidden layer
    graph network     two R-GCN layers with four bases, at most eight in-edges an entity
    distillation      of the rows and columns of similarities of captioned pictures, times 100
    texts             a gloss half of the time, else the name; 32 tokens, 8 for relations
    rows of a step    256 captioned pictures, 64 triples of each pair of modalities, 256 entities
                      around 32 roots
    optimizer         AdamW, b1 0.9, b2 0.98, eps 1e-6, decay 0.05, gradients clipped at 1
    length            ten epochs of the captions

What is not as in the paper: it draws on COCO and CC3M beside VisualSem, Visual Genome and
ConceptNet; here COCO serves distillation alone (CC3M's archives: `streams.captions.sources`). Its
"image of" and "caption of" triples are the contrastive loss of `safe`.

No numbers of ours: no released weights were at hand. On emoji scenes `configs/emoji_graph.py` tells
what the losses do.
"""

from pathlib import Path

from ml_collections import ConfigDict

from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.loading import settings_of

PAIRS, EPOCHS, BATCH_SIZE = 113_287, 10, 256
TRIPLES, ENTITIES, ROOTS = 64, 256, 32


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/knowledge_clip.py:SOURCE,GRAPH[,safe]`."""
    source, _, others = arguments.partition(",")
    folder, _, variant = others.partition(",")
    if not source or not folder or variant not in ("", "safe"):
        raise ConfigError("give SOURCE,GRAPH or SOURCE,GRAPH,safe")
    graph = KnowledgeGraph(Path(folder).absolute())
    config = ConfigDict(settings_of(source))
    config.data.path = "data/coco"
    karpathy = dict(kind="karpathy", file="dataset_coco.json")
    coco = dict(karpathy, split="train", crop_scale=(0.9, 1.0))
    test = dict(karpathy, split="test")
    config.evaluation = {"COCO test": dict(kind="retrieval", source=test, folds=5)}
    pairs = {pair: len(rows) for pair, rows in graph.splits["train"].rows_of.items()}
    triples = {pair: TRIPLES for pair, count in pairs.items() if count}
    around = dict(rows=ENTITIES, roots=ROOTS, fanout=8, hops=2)
    place = dict(graph=str(graph.folder))
    config.streams = dict(
        captions=dict(sources=dict(coco=coco), rows=BATCH_SIZE),
        graph=dict(kind="triplets", rows=triples, **place),
        neighbourhoods=dict(**around, **place),
    )
    relations = len(graph.contents.relations)
    blocks = dict(width=1024, depth=4, heads=16, mlp_width=4096)
    config.heads = dict(
        fusion=dict(transformer=blocks, relations=relations, drop_path=0.1, masking="zeros"),
        gnn=dict(kind="rgcn", relations=relations, depth=2, bases=4),
    )
    config.teachers = dict(original=dict(kind="dual_encoder", init_from=source))
    config.objectives = dict(
        triplets=dict(entity_weight=1.0, relation_weight=1.0),
        graph=dict(weight=1.0),
        distillation=dict(teacher="original", weight=1.0),
    )
    if variant == "safe":
        config.objectives.contrastive = dict(form="softmax")
    config.optimizer = dict(
        learning_rate=1e-5,
        weight_decay=0.05,
        groups=(dict(pattern="^heads/", learning_rate=100.0),),
        schedule=dict(kind="cosine", warmup_steps=500),
    )
    config.total_steps = EPOCHS * PAIRS // BATCH_SIZE
    return config
