"""Explain a label of Google Cloud Vision: which pixels make it say "Cat"?

With your credentials in GOOGLE_APPLICATION_CREDENTIALS, and at most a dollar:

    python explain_a_google_vision_label.py photo.jpg --target Cat --max-usd 1

Rehearsed on this machine, for nothing:

    bbquery serve --protocol google_vision --port 8001
    python explain_a_google_vision_label.py sample:cat --endpoint 127.0.0.1:8001
"""

import argparse
import sys
from pathlib import Path

import bbquery
from bbquery.money import dollars
from bbquery.report import folder

parser = argparse.ArgumentParser(description="Explain a label of Google Cloud Vision.")
parser.add_argument("photo", nargs="?", default="sample:cat", help="a file, or sample:NAME (default: %(default)s)")
parser.add_argument("--target", help="the label (default: the first one that the photo gets)")
parser.add_argument("--endpoint", help="an emulator's address (default: Google's own)")
parser.add_argument("--max-queries", type=int, default=400)
parser.add_argument("--max-usd", default="1", help="dollars (default: %(default)s)")
parser.add_argument("--out", type=Path, default=Path("google-vision-label"))
chosen = parser.parse_args()

oracle = "google_vision:height=224,width=224"  # pixels: enough for a label, and small images travel fast
if chosen.endpoint:
    oracle += f",endpoint={chosen.endpoint}"
explanation = bbquery.explain(
    chosen.photo, oracle, target=chosen.target, max_queries=chosen.max_queries, max_usd=chosen.max_usd
)

queries, spent = explanation.queries, explanation.budget.posted.picodollars
print(f"explained {explanation.maps[0].target!r} with {explanation.method}")
print(*explanation.facts, sep="\n")
print(f"{queries.sent} queries sent, {queries.from_store} answered from the store, ${dollars(spent)} spent in this run")
if explanation.partial:
    print(f"stopped early: {explanation.error}")
for path in folder.write(explanation, folder.prepare(chosen.out), command=sys.argv, source=chosen.photo):
    print(path)
