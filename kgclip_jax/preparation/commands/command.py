"""What a command is, and those that there are."""

import importlib
from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

# The module of each in this folder; it is imported when it is asked for.
COMMANDS = {
    "shards": "shards_command",
    "verify": "verify_command",
    "parse": "parse_command",
    "graphs": "graphs_command",
    "graph": "graph_command",
    "check_graph": "check_graph_command",
    "negclip": "negclip_command",
    "neighbours": "neighbours_command",
    "embed": "embed_command",
    "tune_embeddings": "tune_embeddings_command",
    "concepts": "concepts_command",
    "entity_vectors": "entity_vectors_command",
}


@runtime_checkable
class Command(Protocol):
    """A module for a thing to prepare. It imports libraries where it uses them: help is quick."""

    def define_flags(self) -> None:
        """Define its flags."""
        ...

    def run(self, rest: Sequence[str], /) -> str:
        """Do it; return what to say in the end.

        Args:
            rest: the arguments that are no flags.

        Raises:
            UserError: the message is for the user.
        """
        ...


def find_command(name: str) -> Command:
    """Return one of COMMANDS."""
    module = importlib.import_module(f"{__package__}.{COMMANDS[name]}")
    return cast(Command, module)
