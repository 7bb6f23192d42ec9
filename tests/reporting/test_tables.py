"""Tables as a terminal shows them."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from kgclip_jax.evaluation.result import Result
from kgclip_jax.reporting.tables import results_table, to_terminal

TEXT = Result("composition", "swaps", "text", 0.8125, 0.75, 0.875, 1600, 0.5)
BLIND = replace(TEXT, value=0.5, low=0.5, high=0.5, blind=True)
GROUP = replace(TEXT, metric="group", value=0.4, chance=1 / 6, n=800)
RECALL = Result("retrieval", "scenes", "text-to-image R@1", 0.25, 0.2, 0.3, 25_000, 0.0002)


def printed(rows) -> str:
    console = Console(width=80, file=StringIO())
    console.print(to_terminal(results_table(rows)))
    return console.file.getvalue()


def test_the_table_shows_every_number():
    lines = printed([RECALL, TEXT, BLIND, GROUP]).splitlines()
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [
        ["retrieval: scenes", "", "", ""],
        ["text-to-image R@1", "25.0 (20.0 - 30.0)", "0.02", "25,000"],
        ["composition: swaps", "", "", ""],
        ["text", "81.2 (75.0 - 87.5)", "50.0", "1,600"],
        ["text, blind", "50.0 (50.0 - 50.0)", "50.0", "1,600"],
        ["group", "40.0 (75.0 - 87.5)", "16.7", "800"],
    ]


def test_names_are_no_console_markup():
    text = printed([replace(TEXT, set_name="[red]x[/red]", metric="[/]")])
    assert "[red]x[/red]" in text
    assert "[/]" in text
