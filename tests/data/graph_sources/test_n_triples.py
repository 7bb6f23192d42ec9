"""N-Triples as the W3C has them: resources, blank nodes, literals, escapes."""

import pytest

from kgclip_jax.data.graph_sources.graph_source import OTHER_LANGUAGE, OTHER_LITERAL
from kgclip_jax.data.graph_sources.n_triples import NTriples
from kgclip_jax.errors import ConfigError, DataError
from kgclip_jax.schema import parse
from tests.data.graph_sources.graph_layouts import entities_of, store, triples_of

LABEL, COMMENT = (f"<http://www.w3.org/2000/01/rdf-schema#{word}>" for word in ("label", "comment"))
EDGE = "<http://x/a> <http://x/ontology/birthPlace> <http://x/b> .\n"


def written(folder, content, **settings):
    path = folder / "graph.nt"
    path.write_text(content)
    return NTriples(folder=str(path), **settings)


@pytest.mark.parametrize(
    ("line", "triple"),
    [
        ("<http://x/a> <http://x/r> <http://x/b> .", ("http://x/a", "http://x/r", "http://x/b")),
        ("<http://x/a><http://x/r><http://x/b>.", ("http://x/a", "http://x/r", "http://x/b")),
        ("  _:n1 \t<http://x/r>  _:n2  . # why", ("_:n1", "http://x/r", "_:n2")),
        (r"<http://x/\u00e9> <http://x/r> <http://x/\U0001F600> .",
         ("http://x/é", "http://x/r", "http://x/😀")),
    ],
)  # fmt: skip
def test_resources_make_triples(tmp_path, line, triple):
    assert triples_of(store(written(tmp_path, line), tmp_path / "graph")) == {triple}


def test_literals_are_names_and_glosses(tmp_path):
    source = written(
        tmp_path,
        EDGE
        + f'<http://x/a> {LABEL} "the \\"first\\"" .\n'
        + f'<http://x/a> {LABEL} "second name"@en .\n'
        + f'<http://x/a> {COMMENT} "one\\ttab"@EN-us .\n'
        + f'<http://x/a> {COMMENT} "zwei"@de .\n'
        + '<http://x/a> <http://x/age> "9"^^<http://www.w3.org/2001/XMLSchema#integer> .\n'
        + f'<http://x/Golden_retriever> {COMMENT} "a dog" .\n',
    )
    graph = store(source, tmp_path / "graph")
    found = {key: (row["name"], row["glosses"]) for key, row in entities_of(graph).items()}
    assert found == {
        "http://x/a": ('the "first"', ["one\ttab"]),
        "http://x/b": ("b", []),
        "http://x/Golden_retriever": ("", ["a dog"]),
    }
    assert graph.contents.left_out == {OTHER_LANGUAGE: 1, OTHER_LITERAL: 1}
    assert graph.contents.phrases == ("birth place",)


@pytest.mark.parametrize(
    "line",
    [
        "<http://x/a> <http://x/r> <http://x/b>",  # no dot
        '"literal" <http://x/r> <http://x/b> .',
        "<http://x/a> _:r <http://x/b> .",
        '<http://x/a> <http://x/r> "open .',
        "<http://x/a b> <http://x/r> <http://x/b> .",
        "@prefix x: <http://x/> .",  # Turtle
    ],
)
def test_what_is_no_statement_is_named(tmp_path, line):
    with pytest.raises(DataError, match=r"graph\.nt, line 3: .* is no statement of N-Triples"):
        store(written(tmp_path, f"{EDGE}\n{line}\n{EDGE}"), tmp_path / "graph")


def test_a_long_literal_takes_no_long_time(tmp_path):
    store(written(tmp_path, EDGE + f'<http://x/a> {LABEL} "' + "\\\\" * 50_000 + '" .\n'),
          tmp_path / "graph")  # fmt: skip


def test_a_language_is_letters():
    with pytest.raises(ConfigError, match=r"language must be like 'en'"):
        parse(NTriples, {"language": "en-US"})
