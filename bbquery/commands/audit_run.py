"""`bbquery audit PLAN`: many photos on several oracles, as a plan says, within its caps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bbquery.commands import completing, consent
from bbquery.commands.audit_screen import AuditScreen
from bbquery.commands.exit_codes import GATE_FAILED, NOT_ASKED, exit_code
from bbquery.commands.output import near, say, warn
from bbquery.errors import KeyMissing, NotWritten, UsageError
from bbquery.jobs.audit.prepared import place_of, prepared
from bbquery.ledger.ledger import open_ledger
from bbquery.report import audit_there, auditing
from bbquery.report.spent import HELD, LAST_RUN, of_allowed, taken
from bbquery.units import NOTHING

if TYPE_CHECKING:
    import argparse

    from bbquery.errors import BbqueryError
    from bbquery.jobs.audit.prepared import Prepared
    from bbquery.jobs.audit.reading import PlanFile
    from bbquery.jobs.audit.summary import Gate, Summary
    from bbquery.report.auditing import Audited

AGREE = "give [caps] max_usd in the plan, or agree to what it may cost with --yes"
ATTACKS = """this plan attacks its oracles, which you must own or be authorised to test: type yes on a terminal, or give
--yes in a script"""

KEPT = "what was paid for is kept; once there is room, this goes on with it and asks nothing twice"


def run(chosen: argparse.Namespace, file: PlanFile) -> int:
    """Run an audit; return the exit code of what ended it early, else of its gates, else of photos not asked."""
    try:
        made = asyncio.run(_audited(chosen, file))
    except NotWritten as error:
        raise NotWritten(f"{error}\n{KEPT}:\n  {_resume(chosen)}") from error
    summary = made.summary
    warn(*troubles(summary), *stored(summary))
    say(
        *gate_lines(summary.gates),
        *changed(summary),
        *map(near, made.written[:-1]),
        spent(summary, "now"),
        near(made.written[-1]),
    )
    return code(made.error, summary)


async def _audited(chosen: argparse.Namespace, file: PlanFile) -> Audited:
    place = place_of(file, chosen.out)
    before = None if chosen.baseline is None else audit_there.baseline(chosen.baseline)
    async with prepared(file) as ready:
        _consent(chosen, ready)
        with open_ledger(None) as ledger, AuditScreen() as screen:
            screen.opens(planned(ready))
            return await auditing.audited(
                ready, place, ledger, screen, command=chosen.typed, engine=chosen.engine, force=chosen.force,
                before=before, resume=_resume(chosen), told=screen.took,
            )  # fmt: skip


def _resume(chosen: argparse.Namespace) -> str:
    """Return the command that goes on with the audit."""
    return completing.joined(chosen.typed, {}, None, run="", missing=0)


def _consent(chosen: argparse.Namespace, ready: Prepared) -> None:
    """See that whoever pays has said how much, and that whoever attacks may.

    Raises:
        UsageError: they have not.
    """
    if chosen.yes:
        return
    ready.check_capped(AGREE)
    if ready.file.plan.attack is not None:
        consent.ask([ATTACKS.partition(":")[0]], ATTACKS.replace("\n", " "))


def planned(ready: Prepared) -> dict[int, int]:
    """Return how many queries each photo on each oracle may take, by its place, all alike: for the status line."""
    plan = ready.file.plan
    own = 1 if plan.repeat is None else plan.repeat.times
    own += 0 if plan.explain is None else len(plan.explain.methods) * plan.explain.max_queries
    own += 0 if plan.attack is None else len(plan.attack.attacks) * plan.attack.max_queries
    return dict.fromkeys(range(len(ready.photos) * len(plan.oracles)), own)


def code(error: BbqueryError | None, summary: Summary) -> int:
    """Return the exit code: what ended it early comes before gates, and photos that cannot be asked after them."""
    of_photos = isinstance(error, UsageError) and not isinstance(error, KeyMissing)  # all others end it beforehand
    if error is not None and not of_photos:
        return exit_code(error)
    if any(gate.verdict != "met" for gate in summary.gates):
        return GATE_FAILED
    return NOT_ASKED if of_photos else 0


def troubles(summary: Summary) -> list[str]:
    """Return what is not complete, and the command that goes on with it; nothing of a whole audit."""
    lines = [f"ENDED EARLY: {summary.ended}"] if summary.ended else []
    lines += [f"NOT COMPLETE: {rest}" for rest in summary.rests]
    if summary.resume:
        lines += ["this goes on with it, and pays only what is missing:", f"  {summary.resume}"]
    return lines


def stored(summary: Summary) -> list[str]:
    """Return of what nothing was asked anew, and how to ask; nothing where all photos were asked."""
    return [f"NOT ASKED ANEW: {line}" for line in summary.stored]


def gate_lines(gates: tuple[Gate, ...]) -> list[str]:
    """Return what came of each gate, a line each."""
    return [
        f"gate {gate.name} of {gate.oracle}: {gate.verdict.upper()}: {gate.wanted}; found {gate.found}"
        + (f"; {gate.why}" if gate.why else "")
        + (f"; broken by {', '.join(gate.photos[:MOST_NAMED])}" if gate.photos else "")
        + (f" and {len(gate.photos) - MOST_NAMED} more" if len(gate.photos) > MOST_NAMED else "")
        for gate in gates
    ]


def changed(summary: Summary) -> list[str]:
    """Return what changed since the baseline; nothing without one."""
    if not summary.changed:
        return []
    return [f"{summary.changed} ({summary.baseline}): 95 % intervals leave out 0, as those of 1 in 20 do by chance"]


MOST_NAMED = 5  # photos in a line


def spent(summary: Summary, when: str = LAST_RUN, held_is: str = HELD) -> str:
    """Return what the audit has spent of what it allows, in every run of it, and what of that in the last one.

    when: the last run was. held_is: what is said of what is held.
    """
    held = [held_is] if any(summary.budget.held.amounts) else []
    return "; ".join((f"spent: {', '.join(of_allowed(summary.budget)) or 'nothing'}", *_of_it(summary, when), *held))


def _of_it(summary: Summary, when: str) -> list[str]:
    """Return what the last run took, where earlier ones took something too."""
    if summary.earlier.get("", NOTHING) == NOTHING:
        return []
    return [f"{taken(summary.taken(summary.budget))} {when}"]
