"""`bbquery probe`: what a few queries tell of an oracle, and how best to explain it."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent, options, probe_tables
from bbquery.commands.exit_codes import alarms, ended_by
from bbquery.commands.ledger import add_ledger
from bbquery.commands.log_file import logged
from bbquery.commands.output import estimated, held, say, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.commands.screen import Screen
from bbquery.commands.targets import targets
from bbquery.drift import DEFAULT_EVERY, checks_for
from bbquery.jobs.probe.advice import NO_MORE
from bbquery.jobs.probe.design import FEWEST
from bbquery.jobs.probe.job import ProbeRequest, prepared
from bbquery.jobs.spare import allowing
from bbquery.ledger.ledger import open_ledger
from bbquery.money import dollars_up
from bbquery.report import probe as report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.probe.job import ProbeJob
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.watch import Watch


ABOUT = """Ask a photo several times, and masked copies of it, and say how much the answers vary, which score and
method suit, how many queries a map needs, and the command to run next."""
EXAMPLES = (
    "bbquery probe sample:cat",
    "bbquery probe sample:cat --target 'tiger cat' --max-queries 200",
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    probe = commands.add_parser(
        "probe", help="find out how an oracle is best explained", description=ABOUT, examples=EXAMPLES
    )
    probe.set_defaults(run=_probe)
    options.add_image(probe)
    options.add_oracle(probe)
    probe.add_argument("--target", metavar="LABEL[,LABEL…]", help="as of 'bbquery explain' (default: the top class)")
    probe.add_argument(
        "--score",
        action="append",
        default=[],
        metavar="NAME[:key=value,…]",
        help="a score to compare; can be repeated (default: every one that suits, in each of its forms)",
    )
    caps = probe.add_argument_group("budget", description="Fewer queries are asked where these might pass a cap.")
    fewest = f"at least {FEWEST} (default: %(default)s)"
    caps.add_argument("--max-queries", type=int, default=ProbeRequest.DEFAULT_QUERIES, metavar="N", help=fewest)
    options.add_further_caps(caps)
    options.add_project(caps)
    add_ledger(caps)
    options.add_spare(caps)
    options.add_longest_wait(caps)
    options.add_log(probe)
    options.add_run(probe, "IMAGE-ORACLE-probe-RUN")


def _probe(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen)))
        return 0
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            found = asyncio.run(_probed(chosen, out))
        following = following_command(chosen, found)
        resume = _resume(found, chosen.typed)
        made = {"command": chosen.typed, "source": chosen.image, "following": following, "resume": resume}
        written = out.write(lambda place: report.write(found, place, **made))
    say(*probe_tables.lines(found), "", *_next(following), "")
    _warn(found, chosen.typed)
    say(*written_and_spent(written, found.budget, found.queries))
    return out.exit_code(ended_by(found.error, partial=found.partial))


def _request(chosen: argparse.Namespace, watch: Watch | None = None) -> ProbeRequest:
    return ProbeRequest(**options.shared(chosen, watch), target=targets(chosen.target), scores=chosen.score)


async def _estimated(chosen: argparse.Namespace) -> list[str]:
    async with prepared(_request(chosen)) as job:
        return _costs(job)


def _costs(job: ProbeJob) -> list[str]:
    return estimated(job.estimate(), job.oracle.capabilities.price.source)


async def _probed(chosen: argparse.Namespace, out: OutputFolder) -> Probe:
    with Screen() as screen:
        request = _request(chosen, screen)
        async with prepared(request) as job:
            consent.agreed(chosen, [request.cap], job.worst.times(request.queries), lambda: _costs(job))
            result = result_of(job.identity(), *request.targets, "scores", *chosen.score)
            out.claim(default_name(chosen.image, result, chosen.oracle, "probe"), result)
            warn_of(job.placement)
            with open_ledger(None) as ledger:
                return await job.run(ledger)


def _next(following: Sequence[str]) -> list[str]:
    if not following:
        return [f"next: {NO_MORE}; see BEWARE for what may help"]
    return ["next:", f"  {shlex.join(following)}"]


def following_command(chosen: argparse.Namespace, found: Probe) -> list[str]:
    """Return the command to run next, as arguments: same photo, oracle, target and seed, so that answers are shared.

    None where no more should be spent.
    """
    advice = found.advice
    if not advice.queries:
        return []
    checks = checks_for(advice.queries, DEFAULT_EVERY) if found.oracle.remote else 0
    queries = allowing(advice.queries + 1 + checks, found.oracle.price)
    worst = found.rest.worst.times(queries).picodollars
    given = {
        "--oracle": chosen.oracle,
        "--target": chosen.target,
        "--score": advice.score,
        "--method": advice.method,
        "--max-queries": str(queries),
        "--max-usd": dollars_up(worst) if worst else None,
        "--seed": str(chosen.seed),
        "--project": chosen.project,
    }
    options = [part for option, value in given.items() if value is not None for part in (option, value)]
    return ["bbquery", "explain", chosen.image, *options]


def _warn(found: Probe, typed: Sequence[str]) -> None:
    said = [f"BEWARE: {warning}" for warning in found.advice.warnings]
    said += alarms(found.error, partial=found.partial)
    if found.partial:
        said.append(f"PARTIAL: {found.error}")
        said.append(f"the figures rest on what was answered; {completing.intro('them', found.error, found.oracle)}")
        said.append(f"  {_resume(found, typed)}")
        said += held(found.unknown)
    warn(*said)


def _resume(found: Probe, typed: Sequence[str]) -> str:
    """Return the command that completes a probe; nothing of a whole one."""
    if not found.partial:
        return ""
    return completing.command(completing.rerun(typed, found.oracle), found.rest, found.error)
