"""One HTML file with nothing outside it, made of elements that cannot forget to escape."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from kgclip_jax.files import write_atomically
from kgclip_jax.reporting.style import STYLE

# The policy tells the browser itself to fetch nothing and run nothing.
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body><main>
<h1>$title</h1>
<p class="soft">$subtitle</p>
$body
</main></body>
</html>
""")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float) -> Markup:
    """Build an element. Children that are no `Markup`, and all attributes, are escaped.

    `class_` stands for class; other underscores become hyphens.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    end = "" if name == "img" else f"</{name}>"
    return Markup(f"<{name}{written}>{join(*children)}{end}")


def join(*children: str) -> Markup:
    """Put text and elements after one another."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    )


def write_page(path: Path, title: str, subtitle: str, sections: Sequence[Markup]) -> None:
    """Write a page, whole or not at all; an older one stays until then.

    Raises:
        UserError: the file cannot be written.
    """
    page = _PAGE.substitute(
        title=escape(title), style=STYLE, subtitle=escape(subtitle), body="\n".join(sections)
    )
    # Character codes let any text through, half a surrogate pair in a caption too.
    write_atomically(path, page.encode("ascii", "xmlcharrefreplace").decode())
