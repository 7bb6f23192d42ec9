"""A small graph in the layout of every source, and what must be read of it."""

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from kgclip_jax.data.emoji.concept_graph import EmojiGraph
from kgclip_jax.data.graph_sources.conceptnet import ConceptNet
from kgclip_jax.data.graph_sources.edge_lists import EdgeLists
from kgclip_jax.data.graph_sources.joined_graphs import JoinedGraphs
from kgclip_jax.data.graph_sources.n_triples import NTriples
from kgclip_jax.data.graph_sources.parquet_tables import ParquetTables
from kgclip_jax.data.graph_sources.picture_regions import PictureRegions
from kgclip_jax.data.graph_sources.visualsem import VisualSem
from kgclip_jax.data.graph_sources.wordnet import WordNet
from kgclip_jax.preparation.knowledge_graphs import store_graph


class Layout(NamedTuple):
    write: Callable  # files into a folder; returns the source
    triples: set  # (head, relation, tail) of training, by keys
    names: dict  # of some entities, by key
    lines: str | None = None  # of its files, the one whose lines are triples


def store(source, output, *, bad_share=0.0):
    return store_graph(source, output, bad_share=bad_share, console=Console(quiet=True))


def triples_of(graph, split="train"):
    keys = graph.entities["key"].to_pylist()
    rows = np.arange(len(graph.splits[split]))
    found = graph.splits[split].triples(rows)
    relations = [graph.contents.relations[number] for number in found.relation]
    return {
        (keys[head], relation, keys[tail])
        for head, relation, tail in zip(found.head, relations, found.tail, strict=True)
    }


def entities_of(graph):
    return {row["key"]: row for row in graph.entities.to_pylist()}


def names_of(graph):
    return {key: row["name"] for key, row in entities_of(graph).items()}


def assertion(relation, head, tail, weight=1.0, dataset="/d/wiktionary/en", language="en"):
    """A line of ConceptNet 5.7."""
    head, tail = (end if end.startswith("/c/") else f"/c/{language}/{end}" for end in (head, tail))
    info = {
        "dataset": dataset,
        "license": "cc:by-sa/4.0",
        "sources": [{"contributor": "/s/resource/wiktionary/en", "process": "/s/process/2"}],
        "surfaceText": f"[[{head}]] is [[{tail}]]",
        "weight": weight,
    }
    uri = f"/a/[/r/{relation}/,{head}/,{tail}/]"
    return "\t".join([uri, f"/r/{relation}", head, tail, json.dumps(info)]) + "\n"


def conceptnet(folder):
    (folder / "conceptnet-assertions-5.7.0.csv").write_text(
        assertion("IsA", "dog/n/wn/animal", "animal/n")
        + assertion("IsA", "hund", "tier", language="de")
        + assertion("AtLocation", "ice_cream", "freezer", 2.0)
    )
    return ConceptNet(folder=str(folder))


def edge_lists(folder):
    (folder / "train.txt").write_text("dog\t_is_a\tanimal\ncat\t_is_a\tanimal\n")
    (folder / "valid.txt").write_text("fox\t_is_a\tanimal\n")
    (folder / "test.txt").write_text("owl\t_is_a\tanimal\n")
    return EdgeLists(folder=str(folder))


RDF = "http://dbpedia.org/resource/"
BORN = "http://dbpedia.org/ontology/birthPlace"


def n_triples(folder):
    path = folder / "graph.nt"
    path.write_text(
        f"<{RDF}Ada_Lovelace> <{BORN}> <{RDF}London> .\n"
        f'<{RDF}London> <http://www.w3.org/2000/01/rdf-schema#label> "Londres"@fr .\n'
        f'<{RDF}London> <http://www.w3.org/2000/01/rdf-schema#label> "London town"@en-GB .\n'
        f'<{RDF}London> <http://dbpedia.org/ontology/population> "9"^^<http://x/int> .\n'
        "# the last line\n"
    )
    return NTriples(folder=str(path))


LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
DATA = {
    "noun": [
        "00001740 03 n 01 entity 0 001 ~ 00002137 n 0000 | that which is perceived  ",
        "00002137 05 n 02 animal 0 living_creature 0 002 @ 00001740 n 0000 ~ 02084071 n 0000 "
        '| a living thing; "animals eat"  ',
        "02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 003 @ 00002137 n 0000 "
        '+ 01001000 v 0101 + 01001000 v 0201 | a barking animal; "the dog barked all night"  ',
    ],
    "verb": [
        "01001000 38 v 02 chase 0 dog 2 001 + 02084071 n 0101 02 + 08 00 + 11 00 | go after  ",
    ],
    "adj": [
        "00001741 00 a 01 canine(a) 0 001 \\ 02084071 n 0101 | of dogs; or like them  ",
        '00001800 00 s 01 doggish 0 001 & 00001741 a 0000 | like a dog: "doggish loyalty"  ',
    ],
    "adv": ["00001740 02 r 01 doggedly 0 000 | with obstinate determination  "],
}
SENSES = [
    "entity n 1 1 ~ 1 0 00001740  ",
    "animal n 1 2 @ ~ 1 0 00002137  ",
    "dog n 1 2 @ + 1 1 02084071  ",
]


def wordnet(folder):
    for part, lines in DATA.items():
        (folder / f"data.{part}").write_text(LICENCE + "".join(line + "\n" for line in lines))
    (folder / "index.noun").write_text(LICENCE + "".join(line + "\n" for line in SENSES))
    return WordNet(folder=str(folder))


def region(number, name, x, y, w, h):
    return {"object_id": number, "names": [name], "synsets": [], "x": x, "y": y, "w": w, "h": h}


def relationship(subject, predicate, target):
    return {
        "relationship_id": 10 * subject + target,
        "predicate": predicate,
        "synsets": [],
        "subject_id": subject,
        "object_id": target,
    }


def pictures(*identities):
    return [
        {
            "image_id": identity,
            "url": f"https://cs.stanford.edu/people/rak248/VG_100K_2/{identity}.jpg",
            "width": 200,
            "height": 100,
            "coco_id": None,
            "flickr_id": None,
        }
        for identity in identities
    ]


def picture_regions(folder, **settings):
    graphs = [
        {
            "image_id": 1,
            "objects": [region(8, "Tree", 0, 0, 50, 60), region(9, "hill", -5, 40, 300, 60)],
            "relationships": [relationship(8, " ON", 9)],
        },
        {
            "image_id": 2,
            "objects": [region(5, "man", 10, 10, 40, 80), region(6, "hat", 10, 0, 33, 32)],
            "relationships": [relationship(5, "wears", 6)],
        },
    ]
    (folder / "scene_graphs.json").write_text(json.dumps(graphs))
    (folder / "image_data.json").write_text(json.dumps(pictures(1, 2)))
    (folder / "VG_100K_2").mkdir(exist_ok=True)
    for identity in (1, 2):
        (folder / "VG_100K_2" / f"{identity}.jpg").write_bytes(b"never opened")
    return PictureRegions(folder=str(folder), **settings)


DOG, ANIMAL = "bn:00015267n", "bn:00004222n"


def visualsem(folder, **settings):
    image = "e525636a309e03478d28abad5f77c8a9878a51f7"
    nodes = {
        DOG: {"ms": "WN:EN:domestic_dog", "se": ["dog", "domestic_dog"], "ims": [image]},
        ANIMAL: {"ms": "animal#n#1", "se": ["animal"], "ims": []},
    }
    glosses = [
        {"available_languages": ["en", "de"]},
        {DOG: {"en": ["A barking\nanimal.", " "], "de": ["Ein Tier."]}},
        {ANIMAL: {"de": ["Ein Lebewesen."]}},
    ]
    tuples = {ANIMAL: [{"s": DOG, "r": "is-a", "r_id": 0}]}
    (folder / "nodes.v2.json").write_text(json.dumps(nodes))
    (folder / "tuples.v2.json").write_text(json.dumps(tuples))
    (folder / "gloss_files").mkdir(exist_ok=True)
    (folder / "gloss_files" / "nodes.glosses.json").write_text(json.dumps(glosses))
    (folder / "images" / "e5").mkdir(parents=True, exist_ok=True)
    (folder / "images" / "e5" / f"{image}.jpg").write_bytes(b"never opened")
    return VisualSem(folder=str(folder), **settings)


def parquet(folder):
    """Tables as others may write them: no column but those that must be, numbers for words."""
    triples = {"head": [1, 2], "relation": ["isA", "isA"], "tail": [2, 3], "colour": ["red", ""]}
    entities = {"key": [1, 2, 3], "name": ["dog", "animal", "thing"]}
    pq.write_table(pa.table(triples), folder / "triples.parquet")
    pq.write_table(pa.table(entities), folder / "entities.parquet")
    return ParquetTables(folder=str(folder))


def emoji(folder, **settings):
    wordnet(folder)
    return EmojiGraph(wordnet=str(folder), concepts=0, unseen_concepts=0, **settings)


def joined(folder):
    """What two sources say, one of which calls the relation otherwise."""
    for name, write in (("pets", edge_lists), ("tables", parquet)):
        (folder / "files" / name).mkdir(parents=True, exist_ok=True)
        store(write(folder / "files" / name), folder / name)
    return JoinedGraphs(folder=str(folder), folders="pets,tables")


LAYOUTS = {
    "conceptnet": Layout(
        conceptnet,
        {("dog", "IsA", "animal"), ("ice cream", "AtLocation", "freezer")},
        {"ice cream": "ice cream"},
        "conceptnet-assertions-5.7.0.csv",
    ),
    "edge_lists": Layout(
        edge_lists,
        {("dog", "_is_a", "animal"), ("cat", "_is_a", "animal")},
        {"dog": "dog", "owl": "owl"},
        "train.txt",
    ),
    "emoji": Layout(
        emoji,
        {
            ("concept/dog", "is a", "n00002137"),
            ("n00002137", "is a", "n00001740"),
            ("concept/dog", "in category", "category/animal-mammal"),
            ("category/animal-mammal", "in category", "category/animals-and-nature"),
        },
        {"concept/dog": "dog", "n00002137": "animal", "category/animal-mammal": "animal mammal"},
    ),
    "joined": Layout(
        joined,
        {
            ("pets/dog", "is a", "pets/animal"),
            ("pets/cat", "is a", "pets/animal"),
            ("tables/1", "is a", "tables/2"),
            ("tables/2", "is a", "tables/3"),
        },
        {"pets/owl": "owl", "tables/1": "dog"},
    ),
    "n_triples": Layout(
        n_triples,
        {(f"{RDF}Ada_Lovelace", BORN, f"{RDF}London")},
        {f"{RDF}London": "London town", f"{RDF}Ada_Lovelace": "Ada Lovelace"},
        "graph.nt",
    ),
    "parquet": Layout(
        parquet,
        {("1", "isA", "2"), ("2", "isA", "3")},
        {"1": "dog", "2": "animal", "3": "thing"},
    ),
    "visual_genome": Layout(
        picture_regions,
        {("1/8", "on", "1/9"), ("2/5", "wears", "2/6")},
        {"1/8": "tree", "2/6": "hat"},
    ),
    "visualsem": Layout(
        visualsem, {(DOG, "is-a", ANIMAL)}, {DOG: "domestic dog", ANIMAL: "animal"}
    ),
    "wordnet": Layout(
        wordnet,
        {
            ("n00002137", "hypernym", "n00001740"),
            ("n02084071", "hypernym", "n00002137"),
            ("n02084071", "derivationally related form", "v01001000"),
            ("v01001000", "derivationally related form", "n02084071"),
            ("a00001741", "pertainym", "n02084071"),
            ("a00001800", "similar to", "a00001741"),
        },
        {"n02084071": "dog", "a00001741": "canine", "v01001000": "chase"},
        "data.noun",
    ),
}
