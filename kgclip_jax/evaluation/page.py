"""One HTML file with nothing outside it: the frame of every report."""

import os
from collections.abc import Sequence
from pathlib import Path

from kgclip_jax.errors import UserError
from kgclip_jax.evaluation.markup import Markup, join, tag
from kgclip_jax.evaluation.style import STYLE

# The browser itself is told to fetch nothing and run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(path: Path, title: str, subtitle: str, sections: Sequence[Markup]) -> None:
    """Write a page.

    The file holds its style, curves and pictures, loads nothing, and follows the reader's light or
    dark mode. It appears at `path` complete or not at all; an older page stays until then.

    Args:
        path: the file; its folder exists.
        title: headline.
        subtitle: beneath it.
        sections: what follows.

    Raises:
        UserError: the file cannot be written.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    heading = join(tag("h1", title), tag("p", subtitle, class_="soft"))
    body = tag("body", tag("main", heading, *sections))
    _write(path, "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n")


def _write(path: Path, text: str) -> None:
    """Replace `path` in one move. Half a surrogate pair in a caption becomes a character code."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"cannot write {path}: {error.strerror}; free some space or choose another workdir"
        ) from error
