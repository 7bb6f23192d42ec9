"""HTML and SVG elements that cannot forget to escape: text becomes markup only through `tag`."""

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float) -> Markup:
    """Build an element. Children that are no `Markup`, and all attributes, are escaped.

    Args:
        name: element name.
        *children: text or elements, in order.
        **attributes: `class_` stands for class; other underscores become hyphens.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    if name in ("img", "meta"):
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Put text and elements after one another."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(child) for child in children)
    )
