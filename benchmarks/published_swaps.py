"""How many of NegCLIP's published negatives are among those that ours are drawn from.

    git clone https://github.com/mertyg/vision-language-models-are-bows ARO
    python benchmarks/published_swaps.py ARO/temp_data/valid_neg_clip.tsv

That file has the negatives of NegCLIP's validation pictures. White space and case are not compared:
the authors' words come from their tokenizer, with spaces before punctuation. Put this repository on
PYTHONPATH.
"""

import argparse
from pathlib import Path

import environment

from kgclip_jax.data.readers.listed_captions import read_listed
from kgclip_jax.knowledge.clean_captions import clean_caption
from kgclip_jax.knowledge.negatives.class_swaps import every_class_swap
from kgclip_jax.knowledge.parsing.parser import MODEL
from kgclip_jax.knowledge.parsing.spacy_trees import SpacyTrees


def letters(text: str) -> str:
    """Return what is compared of a text."""
    return "".join(text.lower().split())


def main() -> None:
    """Print how many there are, and how many of them ours may be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    print(environment.describe(["spacy"]))
    listings = list(read_listed(parser.parse_args().file))
    captions = [clean_caption(listing.caption) for listing in listings]
    published = found = 0
    for listing, text, tree in zip(listings, captions, SpacyTrees(MODEL)(captions), strict=True):
        ours = {letters(swap) for swaps in every_class_swap(tree, text) for swap in swaps}
        published += len(listing.wrong)
        found += sum(letters(negative.text) in ours for negative in listing.wrong)
    print(f"{found:,} of {published:,} of {len(captions):,} captions: {found / published:.1%}")


if __name__ == "__main__":
    main()
