r"""Train a table of entities on a knowledge graph without names, and rank its held-out triples.

    python launch/prepare.py graph --source=edge_lists:wn18rr --output=graphs/wn18rr
    python launch/train.py --config=configs/link_prediction.py:GRAPH,SCORER

or, where entities have names, from what a language model makes of these:

    pip install -r requirements-teach.txt
    python launch/prepare.py embed --teacher=minilm --source=graph:GRAPH --output=EMBEDDINGS
    python launch/prepare.py entity_vectors --graph=GRAPH --embeddings=EMBEDDINGS \
        --output=VECTORS.npy
    python launch/train.py --config=configs/link_prediction.py:GRAPH,SCORER,VECTORS.npy

GRAPH and VECTORS.npy are absolute paths; GRAPH is a folder that `prepare.py graph` writes
(docs/data.md): of WN18RR, FB15k-237 or any list of edges. SCORER is `transe`, `distmult`, `complex`
or `rotate`. The test split is ranked among all entities, both ends asked for, and whatever is true
in any split is left out of the candidates. No text or image is read: the towers are tiny, and
nothing trains them.

`distmult` and `complex` compare with all entities, under a penalty on cubes (Lacroix et al., ICML
2018); the distances of `transe` and `rotate` with sampled ones, of which the hard ones weigh more
(Sun et al., ICLR 2019). Settings were chosen on WN18RR's validation split; docs/results.md has the
table.
"""

from pathlib import Path

from ml_collections import ConfigDict

from kgclip_jax.arrays import map_array
from kgclip_jax.errors import ConfigError
from kgclip_jax.knowledge.graph.knowledge_graph import KnowledgeGraph
from kgclip_jax.models.presets import preset
from kgclip_jax.schema import suggestion, to_dict

ALL = dict(form="all", regularisation=0.03)
SAMPLED = dict(form="sampled", margin=6.0, adversarial_temperature=0.5)
OBJECTIVES = dict(distmult=ALL, complex=ALL, transe=SAMPLED, rotate=SAMPLED)
NEGATIVES = dict(distmult=0, complex=0, transe=32, rotate=32)
RATES = dict(distmult=1e-2, complex=1e-2, transe=1e-3, rotate=1e-3)
EPOCHS = dict(distmult=40, complex=40, transe=100, rotate=100)
STD = dict(distmult=0.1, complex=0.1, transe=0.01, rotate=0.01)
ROWS, WIDTH = 512, 512


def get_config(arguments: str) -> ConfigDict:
    """Return the experiment: `--config=configs/link_prediction.py:GRAPH,SCORER[,VECTORS.npy]`."""
    folder, _, rest = arguments.partition(",")
    scorer, _, vectors = rest.partition(",")
    if not folder or scorer not in OBJECTIVES:
        raise ConfigError(f"give GRAPH,SCORER{suggestion(scorer, OBJECTIVES)}")
    graph = KnowledgeGraph(Path(folder).absolute())
    place = dict(graph=str(graph.folder))
    triples = len(graph.splits["train"])
    config = ConfigDict()
    config.model = to_dict(preset("tiny"))
    config.streams = dict(edges=dict(kind="edges", rows=ROWS, negatives=NEGATIVES[scorer], **place))
    relations = len(graph.contents.relations)
    table = dict(scorer=scorer, width=WIDTH, std=STD[scorer])
    if vectors:
        table |= dict(start=vectors, width=map_array(Path(vectors)).shape[1])
    config.heads = dict(
        table=dict(kind="entity_table", entities=len(graph), relations=relations, **table)
    )
    config.objectives = dict(link_prediction=OBJECTIVES[scorer])
    config.optimizer = dict(learning_rate=RATES[scorer], weight_decay=0.0)
    config.evaluation = dict(test=dict(kind="links", head="table", view="number", **place))
    config.total_steps = EPOCHS[scorer] * triples // ROWS
    return config
