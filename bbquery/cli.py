"""The command line: `bbquery explain`, `bbquery list`, `bbquery serve`.

Exit codes: 0 done, 1 bbquery's own storage failed, 2 usage, 3 the oracle failed, 4 the budget is exhausted,
130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from bbquery import explanation as explaining
from bbquery import load
from bbquery.errors import BbqueryError, BudgetExhausted, OracleError, UsageError
from bbquery.halt import Interrupted
from bbquery.report import folder
from bbquery.types import Vector
from bbquery.version import __version__

if TYPE_CHECKING:
    from typing import Self

    from bbquery.client import Client
    from bbquery.explanation import Explanation
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

EXIT_CODES: tuple[tuple[type[BbqueryError], int], ...] = (
    (UsageError, 2),
    (OracleError, 3),
    (BudgetExhausted, 4),
    (Interrupted, 130),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    chosen = _parser().parse_args(typed)
    chosen.typed = ["bbquery", *typed]
    try:
        return int(chosen.run(chosen))
    except BbqueryError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(Interrupted("interrupted before anything was asked"))


def _fail(error: BbqueryError) -> int:
    print(f"bbquery: {error}", file=sys.stderr)
    return exit_code(error)


def exit_code(error: BbqueryError | None) -> int:
    """Return the exit code of what ended a run, 0 for nothing."""
    if error is None:
        return 0
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbquery", description="Explain and stress-test models that can only be asked.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"bbquery {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_explain(commands)
    _add_list(commands)
    _add_serve(commands)
    return parser


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    explain = commands.add_parser("explain", help="make a saliency map of a photo", allow_abbrev=False)
    explain.set_defaults(run=_explain)
    explain.add_argument("image", metavar="IMAGE", help="a photo, or sample:NAME (sample:cat)")
    explain.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="whom to ask")
    explain.add_argument(
        "--method", default=explaining.DEFAULT_METHOD, metavar="NAME[:key=value,…]", help="how to explain"
    )
    explain.add_argument("--target", metavar="LABEL[,LABEL…]", help="what to explain (default: the top class)")
    explain.add_argument(
        "--max-queries",
        type=int,
        default=explaining.DEFAULT_QUERIES,
        metavar="N",
        help="the run's budget (default: %(default)s)",
    )
    explain.add_argument("--seed", type=_seed, default=0, metavar="S", help="decides every random choice (default: 0)")
    explain.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: bbquery-out/IMAGE-METHOD)")


def _add_list(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser("list", help="show what can be chosen", allow_abbrev=False)
    listing.set_defaults(run=_list)
    listing.add_argument("kind", choices=["oracles", "methods", "attacks", "scores"])


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="serve an oracle on loopback, to rehearse with", allow_abbrev=False)
    serve.set_defaults(run=_serve)
    serve.add_argument("--oracle", default="efficientnet", metavar="NAME[:key=value,…]", help="who answers")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0 picks a free one (default: %(default)s)")
    serve.add_argument(
        "--faults",
        default="",
        metavar="key=value,…",
        help="seeded faults, such as rate_limited=0.1,dropped=0.05,latency=0.2",
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


# --- explain ---


def _explain(chosen: argparse.Namespace) -> int:
    out = folder.prepare(chosen.out or _default_folder(chosen.image, chosen.method))
    explanation = asyncio.run(_explained(chosen))
    written = folder.write(explanation, out, command=chosen.typed, source=chosen.image)
    _report(explanation, chosen.method, written)
    return exit_code(explanation.error) if explanation.partial else 0


def _default_folder(image: str, method: str) -> Path:
    stem = Path(image.removeprefix("sample:")).stem or "image"
    return Path("bbquery-out") / f"{stem}-{load.parse(method)[0].replace(':', '.')}"


async def _explained(chosen: argparse.Namespace) -> Explanation:
    with Screen() as screen:
        return await explaining.explain_async(
            chosen.image,
            chosen.oracle,
            method=chosen.method,
            target=_targets(chosen.target),
            max_queries=chosen.max_queries,
            seed=chosen.seed,
            watch=screen,
        )


def _targets(text: str | None) -> list[str] | None:
    if text is None:
        return None
    targets = [part.strip() for part in text.split(",")]
    if not all(targets):
        raise UsageError(f"--target {text!r} names an empty label: separate labels by single commas")
    return targets


def _report(explanation: Explanation, method: str, written: Sequence[Path]) -> None:
    q = explanation.queries
    print(f"queries: {q.asked} asked, {q.sent} sent, {q.from_store} from the store, {q.unknown} unknown")
    if explanation.partial:
        print(f"bbquery: PARTIAL: {explanation.error}", *_advice(explanation, method), sep="\n", file=sys.stderr)
    for path in written:
        print(path)


def _advice(explanation: Explanation, method: str) -> list[str]:
    """Say what a person can do about a partial result."""
    lines = ["the map rests on the queries that were answered; the same command again asks only for the rest"]
    if not isinstance(explanation.error, BudgetExhausted) or not explanation.unknown:
        return lines
    count, cap = len(explanation.unknown), explanation.budget.cap.queries or 0
    again = load.with_option(method, "queries", explanation.method.queries)
    return [
        *lines,
        f"{count} queries of this run may have been billed without an answer, so their budget stays held:",
        *(f"  attempt {u.attempt} of {u.opened}: {u.reason}" for u in explanation.unknown),
        f"use this partial result, or allow that many more: --method {again} --max-queries {cap + count}",
    ]


class Screen(explaining.Watch):
    """What a person sees of a run: the top classes, a progress bar, and Ctrl-C that ends in order."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def started(self, client: Client, planned: int) -> None:
        """Show the bar and listen for Ctrl-C."""
        self._client = client
        slow = 0.1 if sys.stderr.isatty() else 2.0  # seconds between lines; a log file needs few
        self._bar = self._stack.enter_context(
            tqdm(total=planned, file=sys.stderr, dynamic_ncols=True, mininterval=slow, bar_format=BAR, unit=" queries")
        )
        if threading.current_thread() is threading.main_thread():  # others cannot hear signals
            self._stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, self._interrupt))

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Print what the model sees."""
        if isinstance(clean, Vector):
            with tqdm.external_write_mode(file=sys.stdout):
                print(f"{capabilities.name} sees:")
                for label, value in explaining.top_classes(clean, capabilities, 5):
                    print(f"  {value:8.4f}  {label}")

    def progressed(self) -> None:
        """Move the bar."""
        self._bar.set_postfix_str(f"{self._client.sent} spent", refresh=False)
        self._bar.update()

    def _interrupt(self, *_: object) -> None:
        """Once: send no more. Twice: wait no longer either."""
        loop = asyncio.get_running_loop()
        if self._client.halt.interrupted:
            loop.call_soon_threadsafe(self._client.abandon)
            return
        print("\nstopping: waiting for what is in flight (Ctrl-C again abandons it)", file=sys.stderr)
        loop.call_soon_threadsafe(self._client.halt.set, Interrupted("interrupted by Ctrl-C"))


BAR = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} queries{postfix}, {rate_noinv_fmt}, {remaining} left"


# --- list ---


def _list(chosen: argparse.Namespace) -> int:
    kind = chosen.kind.removesuffix("s")
    known = load.names(kind)
    if not known:
        print(f"no {chosen.kind} in this version")
    width = max(map(len, known), default=0)
    for name in known:
        print(f"{name:{width}}  {load.summary(kind, name)}")
    return 0


# --- serve ---


def _serve(chosen: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_served(chosen))
    return 0


async def _served(chosen: argparse.Namespace) -> None:
    emulator = load.emulator("http")
    faults = load.configured(emulator.Faults, chosen.faults, "--faults")
    oracle = await load.oracle(chosen.oracle)
    try:
        await emulator.serve(oracle, port=chosen.port, faults=faults, ready=_ready)
    finally:
        await oracle.aclose()


def _ready(url: str) -> None:
    print(
        f"serving at {url}; Ctrl-C ends it\nask it with: bbquery explain sample:cat --oracle http:url={url}", flush=True
    )
