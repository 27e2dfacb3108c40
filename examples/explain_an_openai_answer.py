"""Explain an answer of a vision model of OpenAI: which pixels make it say "cat"?

The model chooses from a list of classes, and the probability of each is read from the log-probabilities of its answer,
so that one question tells more than a word. With your key in OPENAI_API_KEY, and at most half a dollar:

    python explain_an_openai_answer.py photo.jpg --classes 'cat|dog|bird' --target cat --max-usd 0.50

Rehearsed on this machine, for nothing:

    bbquery serve --protocol openai --port 8002
    REHEARSAL_KEY=any python explain_an_openai_answer.py --base-url http://127.0.0.1:8002/v1 --key-env REHEARSAL_KEY
"""

import argparse
import sys
from pathlib import Path

import bbquery
from bbquery.money import dollars
from bbquery.report import folder

parser = argparse.ArgumentParser(description="Explain an answer of a vision model of OpenAI.")
parser.add_argument("photo", nargs="?", default="sample:cat", help="a file, or sample:NAME (default: %(default)s)")
parser.add_argument("--classes", default="tabby|tiger cat|Egyptian cat|lynx", help="names, with | between them")
parser.add_argument("--target", help="the class to explain (default: the one that the model names)")
parser.add_argument("--model", default="gpt-4o-mini")
parser.add_argument("--base-url", default="https://api.openai.com/v1")
parser.add_argument("--key-env", default="OPENAI_API_KEY", help="the environment variable with the key")
parser.add_argument("--max-queries", type=int, default=300)
parser.add_argument("--max-usd", default="0.50", help="dollars (default: %(default)s)")
parser.add_argument("--out", type=Path, default=Path("openai-answer"))
chosen = parser.parse_args()

server = f"base_url={chosen.base_url},key_env={chosen.key_env}"
oracle = f"openai:model={chosen.model},classes={chosen.classes},top_logprobs=5,{server}"
explanation = bbquery.explain(
    chosen.photo,
    oracle,
    target=chosen.target,
    score="prompts:read=probability",
    max_queries=chosen.max_queries,
    max_usd=chosen.max_usd,
)

queries, spent = explanation.queries, explanation.budget.posted
if isinstance(explanation.clean, bbquery.Text):
    print(f"the whole photo is answered with {explanation.clean.text!r}")
print(f"explained {explanation.maps[0].target!r} with {explanation.method}")
print(*explanation.facts, sep="\n")
print(f"{queries.sent} queries sent, {queries.from_store} answered from the store")
print(f"{spent.tokens} tokens, ${dollars(spent.picodollars)} spent in this run")
if explanation.partial:
    print(f"stopped early: {explanation.error}")
for path in folder.write(explanation, folder.prepare(chosen.out), command=sys.argv, source=chosen.photo):
    print(path)
