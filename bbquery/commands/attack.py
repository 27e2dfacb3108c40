"""`bbquery attack`: a stress test of one image, after its worst case is shown and agreed to."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, options
from bbquery.commands.log_file import logged
from bbquery.commands.output import counted, estimated, held, not_read, say, warn, warn_of
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.commands.screen import Screen
from bbquery.commands.targets import target
from bbquery.errors import UsageError
from bbquery.jobs.attack.job import DEFAULT_ATTACK, DEFAULT_RMSE, AttackRequest, prepared
from bbquery.jobs.attack.votes import MOST_CHANCE
from bbquery.ledger.sqlite import open_ledger
from bbquery.money import dollars
from bbquery.report import attack as report
from bbquery.report.spent import spent
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.watch import Watch

AUTHORISED = """Looks for the smallest change of an image that changes what the oracle answers, to measure how robust a
model is that you own or are authorised to test. Whether anything is found is the result, not an error: the exit code is
0 either way."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    attack = commands.add_parser(
        "attack", help="stress-test a model of yours on a photo", description=AUTHORISED, allow_abbrev=False
    )
    attack.set_defaults(run=_attack)
    options.add_image(attack)
    options.add_oracle(attack, required=True)
    attack.add_argument(
        "--attack", default=DEFAULT_ATTACK, metavar="NAME[:key=value,…]", help="how (default: %(default)s)"
    )
    usual = ",".join(f"{rmse:g}".removeprefix("0") for rmse in DEFAULT_RMSE)
    attack.add_argument(
        "--rmse", default=usual, metavar="E[,E…]", help="distances at which success is reported (default: %(default)s)"
    )
    attack.add_argument(
        "--target",
        metavar="LABEL",
        help="the image's true label, which must be lost (none: what the oracle says first)",
    )
    attack.add_argument(
        "--score",
        metavar="NAME[:key=value,…]",
        help="how an answer becomes a number (default: hard, and label where labels are no nouns)",
    )
    _add_caps(attack)
    options.add_log(attack)
    options.add_run(attack, "IMAGE-ORACLE-ATTACK[-SCORE]-RUN")


def _add_caps(attack: argparse.ArgumentParser) -> None:
    caps = attack.add_argument_group("budget")
    caps.add_argument("--max-queries", type=int, required=True, metavar="N", help="the most that is asked, of anything")
    options.add_further_caps(caps)
    options.add_project(caps)
    options.add_spare(caps)
    options.add_longest_wait(caps)
    options.add_drift(attack)


def _attack(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen)))
        return 0
    if not chosen.yes:
        _consent(chosen)
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            stress = asyncio.run(_attacked(chosen, out))
        written = out.write(lambda place: report.write(stress, place, command=chosen.typed, source=chosen.image))
    _say(stress, chosen.typed)
    say(*map(str, written), spent(stress.budget, stress.queries.from_store, stress.queries.sent))
    return out.exit_code(stress.error)


def _consent(chosen: argparse.Namespace) -> None:
    """Show the worst case and let a person agree to it, whatever it costs.

    Raises:
        UsageError: nobody is there to be asked, or they do not agree.
    """
    intro = f"An attack on {chosen.oracle}, which you must own or be authorised to test. It sends at most:"
    refusal = "an attack is agreed to beforehand: type yes on a terminal, or give --yes in a script"
    lines = asyncio.run(_estimated(chosen)) if sys.stdin.isatty() else []  # which ends with: nothing was asked
    consent.ask([intro, *lines], refusal)


async def _estimated(chosen: argparse.Namespace) -> list[str]:
    request = _request(chosen)
    async with prepared(request) as job:
        found, source, cap = job.estimate(), job.oracle.capabilities.price.source, request.cap.picodollars
    _, *lines, nothing_asked = estimated(found, source)
    capped = [] if cap is None else [f"cap          never more than ${dollars(cap)}"]
    return [f"queries      {found.queries:,} at most, retries among them", *lines, *capped, nothing_asked]


async def _attacked(chosen: argparse.Namespace, out: OutputFolder) -> Stress:
    with Screen() as screen:
        async with prepared(_request(chosen, screen)) as job:
            options.check_project(chosen)
            result = result_of(job.identity(), *map(str, job.thresholds))
            out.claim(default_name(chosen.image, result, chosen.oracle, chosen.attack, chosen.score), result)
            warn_of(job.placement)
            with open_ledger(None) as ledger:
                return await job.run(ledger)


def _request(chosen: argparse.Namespace, watch: Watch | None = None) -> AttackRequest:
    return AttackRequest(
        **options.shared(chosen, watch), attack=chosen.attack, rmse=_thresholds(chosen.rmse),
        target=_target(chosen.target), score=chosen.score,
    )  # fmt: skip


def _thresholds(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--rmse {text!r}: give numbers above 0 and up to 1, separated by commas") from None


def _target(text: str | None) -> str | None:
    return None if text is None or text.lower() == "none" else target(text)


def _say(stress: Stress, typed: Sequence[str]) -> None:
    """Print what came of it, and on stderr what to be wary of."""
    say(f"queries: {counted(stress.queries)}")
    say(*_verdict(stress))
    warn(*_warnings(stress, typed))


def _verdict(stress: Stress) -> list[str]:
    label, found, again = stress.bound.target, stress.found, stress.verification
    if found is None:
        return [f"not attacked: the oracle does not say {label!r} of the clean image"]
    if found.best is None:
        return [f"not found: every image that was decided is still {label!r}"]
    lines = [f"{stress.outcome}: no longer {label!r} at RMSE {found.rmse:.4f}; {_asked_again(stress)}"]
    if again is not None and again.majority == Decision.NOT_MET and stress.outcome == "unverified":
        lines.append(
            f"  so many differ by chance too: a probability of at most {MOST_CHANCE:g} counts; make the oracle answer "
            "alike each time (temperature=0, say), if it can"
        )
    return [*lines, *(f"  RMSE {limit:g}: {'yes' if yes else 'no'}" for limit, yes in stress.successes.items())]


def _asked_again(stress: Stress) -> str:
    again = stress.verification
    if again is None:
        return "not asked again"
    return f"asked {again.asked} times again, {again.left} times (probability of chance: {stress.chance:.2g})"


def _warnings(stress: Stress, typed: Sequence[str]) -> list[str]:
    error = stress.error
    lines = [f"DRIFTED: {reason}: the result may rest on more than one model" for reason in stress.drift.reasons]
    lines += [f"{each.kind}: {each.text}" for each in report.warnings(stress)]
    if stress.unread:
        lines.append(f"NOT READ: {not_read(stress.unread)}: the score made nothing of that")
    if error is not None:
        lines.append(f"PARTIAL: {error}")
        lines.append(f"the best so far was kept; {completing.intro('the attack', error, stress.oracle)}")
        lines.append(f"  {completing.command(completing.rerun(typed, stress.oracle), stress.rest, error)}")
        lines += held(stress.unknown)
    return lines
