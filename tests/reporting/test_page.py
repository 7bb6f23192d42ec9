from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from kgclip_jax.reporting.page import join, tag


class Events(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.events: list[tuple] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.events.append(("start", name, attributes))

    def handle_endtag(self, name):
        self.events.append(("end", name))

    def handle_data(self, data):
        self.events.append(("text", data))


@given(st.text(min_size=1), st.text())
def test_any_text_survives_as_text(text, attribute):
    assert Events(tag("p", text, class_=attribute)).events == [
        ("start", "p", [("class", attribute)]),
        ("text", text),
        ("end", "p"),
    ]


def test_elements_nest_and_text_between_them_is_escaped():
    assert tag("p", "a<b", tag("b", "&"), stroke_width=2) == (
        '<p stroke-width="2">a&lt;b<b>&amp;</b></p>'
    )
    assert tag("img", src="x", alt='"') == '<img src="x" alt="&quot;">'
    assert join("<", tag("i"), ">") == "&lt;<i></i>&gt;"
