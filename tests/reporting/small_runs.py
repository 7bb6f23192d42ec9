"""Runs as a comparison reads them, with results of three measures."""

from dataclasses import replace

from kgclip_jax.evaluation.result import Result
from kgclip_jax.reporting.runs import Run

SEEING = Result("composition", "swaps", "text", 0.6, 0.56, 0.65, 400, 0.5)
BLIND = replace(SEEING, value=0.5, low=0.5, high=0.5, blind=True)
RECALL = Result("retrieval", "scenes", "R@1", 0.4, 0.35, 0.45, 100, 0.01)
SOURCE = {
    "kind": "emoji",
    "weight": 1.0,
    "evaluation_items": 200,
    "world": {"concepts": 32, "scenes": 100},
}


def make_run(root, *, seed=0, value=0.6, rows=None, form="softmax", settings=None, **changes):
    """A run whose first row has a value; `form` tells methods apart, `settings` join its config."""
    config = {
        "seed": seed,
        "streams": {"captions": {"rows": 10, "sources": {"emoji": SOURCE}}},
        "objectives": {"contrastive": {"form": form}},
        "evaluation": {},
    }
    shift = value - SEEING.value
    seeing = replace(SEEING, value=value, low=SEEING.low + shift, high=SEEING.high + shift)
    given = {"step": 100, "weights": "raw", "metrics": [], "outcomes": {}} | changes
    results = [seeing, RECALL, BLIND] if rows is None else rows
    return Run(root, config | (settings or {}), results=results, **given)


def with_source(**changes):
    """A run of another method, with changed settings of its source."""
    streams = {"captions": {"rows": 10, "sources": {"emoji": SOURCE | changes}}}
    return make_run("b", form="sigmoid", settings={"streams": streams})
