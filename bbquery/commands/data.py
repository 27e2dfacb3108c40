"""`bbquery data`: fetch the data that some scores need."""

from __future__ import annotations

import argparse

from bbquery.scoring.wordnet.fetch import fetch

EXAMPLES = (
    "bbquery data wordnet",
    "bbquery data wordnet && bbquery score 'Egyptian cat' --target tabby --score hard",
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    kinds = commands.add_parser("data", help="fetch the data that some scores need", examples=EXAMPLES)
    wordnet = kinds.add_subparsers(required=True, metavar="DATA").add_parser(
        "wordnet", help="WordNet 3.0, which the score 'hard' needs: 36 MB, once", examples=EXAMPLES
    )
    wordnet.set_defaults(run=_wordnet)


def _wordnet(_: argparse.Namespace) -> int:
    fetched = fetch()
    came = "was there already" if fetched.origin is None else f"came from {fetched.origin}"
    print(f"WordNet 3.0 is in {fetched.place}; it {came}")
    return 0
