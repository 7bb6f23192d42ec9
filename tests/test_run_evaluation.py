"""What a run leaves in its report."""

import jax

from tests.knowledge.graph.made_up_graphs import make_graph
from tests.whole_runs import execute, experiment, write_album


def test_a_run_with_a_graph_draws_it_in_its_report(tmp_path, monkeypatch):
    """Two streams of one graph: it is drawn once."""
    devices = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    album = write_album(tmp_path / "album", 12)
    make_graph(album / "graph")
    edges = {"kind": "edges", "graph": "graph", "rows": 8}
    table = {"kind": "entity_table", "scorer": "distmult", "entities": 6, "relations": 3}
    settings = experiment(
        "configs/flickr8k.py",
        data__path=album,
        total_steps=1,
        streams__edges=str(edges),
        streams__more=str(edges),
        heads__table=str(table),
        objectives__link_prediction="{}",
        objectives__more="{'kind': 'link_prediction', 'stream': 'more'}",
    )
    printed = execute(tmp_path / "run", settings)
    assert "edges: 6 triples between 6 entities" in printed
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("Around some entities") == 1
    assert "chases" in report[report.index("Around some entities") :]
