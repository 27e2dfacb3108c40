"""The command that completes a run that ended early, ready to be typed.

It is the command that was typed, with caps that let the rest of the same plan be asked: what is there already is not
asked again, so no other command needs fewer further queries. Where the cap of a budget above ended the run, the
command that raises that one comes first.
"""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import TYPE_CHECKING

from bbquery.client.halt import Interrupted
from bbquery.errors import BudgetExhausted
from bbquery.jobs import spare as spare_of
from bbquery.ledger.pruning import RUN
from bbquery.ledger.records import Cap
from bbquery.money import dollars_up
from bbquery.oracle import is_unnamed
from bbquery.units import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.errors import BbqueryError
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState
    from bbquery.oracle import Capabilities

OPTIONS = {"queries": "--max-queries", "tokens": "--max-tokens", "picodollars": "--max-usd"}
SPARE = "--spare"


def intro(what: str, error: BbqueryError | None, oracle: Capabilities) -> str:
    """Return the words before the command. what: that it completes. Neither a cap nor a person needs mending."""
    first = "" if isinstance(error, BudgetExhausted | Interrupted) else "once its cause is mended, "
    if is_unnamed(oracle.identity):
        return f"{first}this begins {what} anew, since answers of a function are kept only where version= names it:"
    return f"{first}this completes {what}, and asks only for the rest:"


def rerun(typed: Sequence[str], oracle: Capabilities) -> Sequence[str]:
    """Return the command that runs the same again: a run that begins anew is another one, in the same folder."""
    return [*typed, "--force"] if is_unnamed(oracle.identity) and "--force" not in typed else typed


def command(typed: Sequence[str], rest: Rest, error: BbqueryError | None) -> str:
    """Return the command that completes a run. typed: as it was run. error: what ended it."""
    return joined(typed, raised(rest), error, run=rest.budget.name, missing=rest.missing)


def joined(
    typed: Sequence[str], options: Mapping[str, str], error: BbqueryError | None, *, run: str, missing: int
) -> str:
    """Return what was typed with these options, after the command that raises a budget above where one ended it.

    run: the name of the run's budget. missing: how many queries are needed.
    """
    own = shlex.join(with_options(typed, options))
    if not isinstance(error, BudgetExhausted) or error.budget == run or (run and error.budget.startswith(f"{run}/")):
        return own
    return f"{_raise(error, missing)} && {own}"


def raised(rest: Rest, *, plan_is_fixed: bool = False) -> dict[str, str]:
    """Return the options that let the rest be asked; none where the caps allow it already.

    plan_is_fixed: whether the plan is the same under any cap, so that nothing need be kept of a larger one.
    """
    options = changed(rest.budget.cap, rest.cap())
    if OPTIONS["queries"] in options and not plan_is_fixed:
        options |= {OPTIONS["queries"]: str(rest.allowed + rest.spare), SPARE: str(rest.spare)}
    return options


def raised_together(
    rests: Sequence[Rest], run: BudgetState, allowed: int, suffix: str = "", weights: Sequence[int] | None = None
) -> dict[str, str]:
    """Return the options that let the rests of several parts be asked, each within a budget of its own in the run's.

    allowed: the queries that the plan of a part was made for. suffix: how options of a part end, "" for those that the
    run's own are. weights: how many times the caps of a part each of them has; None, once.
    """
    short = [
        (rest, weight)
        for rest, weight in zip(rests, weights or [1] * len(rests), strict=True)
        if changed(rest.budget.cap, rest.cap())
    ]
    options: dict[str, str] = {}
    for rest, weight in short:
        for option, amount in changed(_share(rest.budget.cap, weight), _share(rest.cap(), weight)).items():
            options[option + suffix] = max(options.get(option + suffix, "0"), amount, key=Decimal)
    if OPTIONS["queries"] + suffix in options:
        spare = max(-(-rest.spare // weight) for rest, weight in short)
        options |= {OPTIONS["queries"] + suffix: str(allowed + spare), SPARE: str(spare)}
    of_run = changed(run.cap, spare_of.raised(run, total(rest.needed for rest in rests)))
    return of_run | options


def of_parts(
    typed: Sequence[str],
    oracle: Capabilities,
    rests: Sequence[Rest],
    run: BudgetState,
    error: BbqueryError | None,
    *,
    allowed: int,
    suffix: str,
    weights: Sequence[int] | None = None,
) -> str:
    """Return the command that completes a run of several parts; see `raised_together`.

    A cap of the run that nobody typed follows from those of its parts, so it is not raised by itself.
    """
    options = raised_together(rests, run, allowed, suffix, weights)
    named = {argument.partition("=")[0] for argument in typed}
    for option in set(OPTIONS.values()) & options.keys() - named:
        del options[option]
    missing = sum(rest.missing for rest in rests)
    return joined(rerun(typed, oracle), options, error, run=run.name, missing=missing)


def _share(cap: Cap, weight: int) -> Cap:
    """Return caps divided, rounded up."""
    return Cap(**{unit: None if amount is None else -(-amount // weight) for unit, amount in vars(cap).items()})


def changed(before: Cap, after: Cap) -> dict[str, str]:
    """Return the options that make the caps `after` of those before."""
    pairs = ((unit, getattr(before, unit), getattr(after, unit)) for unit in OPTIONS)
    return {OPTIONS[unit]: written(unit, new) for unit, old, new in pairs if new is not None and new != old}


def written(unit: str, amount: int) -> str:
    """Return an amount as an option takes it; dollars are rounded up."""
    return dollars_up(amount) if unit == "picodollars" else str(amount)


def with_options(typed: Sequence[str], options: Mapping[str, str]) -> list[str]:
    """Return a command with these options in place of those of the same name."""
    left, kept = dict(options), []
    arguments = iter(typed)
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if name not in options:
            kept.append(argument)
            continue
        if not equals:
            next(arguments, None)
        if name in left:
            kept += [name, left.pop(name)]
    return [*kept, *(part for option in left.items() for part in option)]


def beginning(typed: Sequence[str], error: BudgetExhausted) -> list[str]:
    """Return how a run begins that a budget above its own did not even grant its first query; else nothing."""
    if RUN.search(error.budget) or not error.in_ledger:
        return []
    return [
        "this lets it begin; '--dry-run' tells by how much the whole run needs it raised:",
        f"  {joined(typed, {}, error, run='', missing=1)}",
    ]


def _raise(error: BudgetExhausted, missing: int) -> str:
    """Return the command that raises a budget so that so many queries more may be sent."""
    cap = written(error.unit, error.cap - error.remaining + max(missing, 1) * error.needed)
    return shlex.join(["bbquery", "budget", "set", error.budget, OPTIONS[error.unit], cap])
