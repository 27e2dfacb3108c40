"""`bbquery attack`: a stress test of one image, or of several, after its worst case is shown and agreed to."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bbquery.commands import attack_several, completing, consent, options, photos
from bbquery.commands.ledger import add_ledger
from bbquery.commands.log_file import logged
from bbquery.commands.output import counted, estimated, held, say, warn, warn_of, written_and_spent
from bbquery.commands.output_folder import OutputFolder, default_name, result_of
from bbquery.commands.screen import Screen
from bbquery.commands.screen_side_by_side import SideBySide
from bbquery.commands.targets import target
from bbquery.errors import UsageError
from bbquery.jobs.attack.goal import DEFAULT_CRITERION
from bbquery.jobs.attack.many import KINDS, kinds_of
from bbquery.jobs.attack.preparation import prepared, without_wordnet
from bbquery.jobs.attack.preprocessing import LEAST
from bbquery.jobs.attack.request import DEFAULT_ATTACK, DEFAULT_RMSE, AttackRequest
from bbquery.jobs.attack.series import AttackSeriesRequest
from bbquery.ledger.ledger import open_ledger
from bbquery.ledger.records import Cap
from bbquery.money import dollars
from bbquery.report import attack as report
from bbquery.report import cautions
from bbquery.report.stress_verdict import verdict
from bbquery.scoring.criteria import CRITERIA
from bbquery.specification import split_specifications

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.attacks._control_kinds import Kind
    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.watch import Watch

AUTHORISED = """Look for the smallest change of an image that changes what the oracle answers, to measure how robust a
model is that you own or are authorised to test. Whether anything is found is the result, not an error: the exit code is
0 either way."""
EXAMPLES = (
    "bbquery attack sample:coffee --oracle efficientnet --max-queries 500 --dry-run",
    "bbquery attack sample:coffee --oracle efficientnet --max-queries 500 --yes",
)
IMAGES = "a photo, or sample:NAME (sample:cat), or several, or folders of photos"
ATTACKS = r"""how (default: %(default)s); several are compared on the same photos: hsja,lr_mifgsm:steps=10,norm=linf; a
comma within a value is written \,; art:NAME and foolbox:NAME run an attack of these libraries, if they are installed"""
ALL = "all"
CONTROLS = f"""also ask for random change, at each distance of --rmse as much as an attack asks in all: {ALL}, or some
of {", ".join(KINDS)}"""
LABELS = "a CSV file of path,label: the true label of each photo, which must be lost; paths are as from its folder"
RULE = """Several images or attacks are one run, and each attack on each image has a budget of its own within it. If
only the run's cap is given, they share it evenly, rounded down; if only the cap per attack, the run may spend that for
each; if both, both hold. A control takes up to as many of these caps as there are distances. An attack that reaches its
own cap ends with what was found, and the next begins; at the run's or the project's cap the run ends."""
DEFAULT_OUT = "IMAGE-ORACLE-ATTACK[-SCORE]-RUN; for several, N-images-…, with folders in it for each"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    attack = commands.add_parser(
        "attack", help="stress-test a model of yours on a photo", description=AUTHORISED, examples=EXAMPLES
    )
    attack.set_defaults(run=_attack, refuse=attack.error)
    attack.add_argument("images", nargs="+", metavar="IMAGE", help=IMAGES)
    options.add_oracle(attack, required=True)
    attack.add_argument("--attack", default=DEFAULT_ATTACK, metavar="NAME[:key=value,…][,NAME…]", help=ATTACKS)
    attack.add_argument("--controls", metavar="KIND[,KIND…]", help=CONTROLS)
    usual = ",".join(f"{rmse:g}".removeprefix("0") for rmse in DEFAULT_RMSE)
    attack.add_argument(
        "--rmse", default=usual, metavar="E[,E…]", help="distances at which success is reported (default: %(default)s)"
    )
    attack.add_argument(
        "--target",
        metavar="LABEL",
        help="the image's true label, which must be lost (default: what the oracle says first)",
    )
    attack.add_argument("--labels", metavar="FILE", help=LABELS)
    _add_goal(attack)
    attack.add_argument(
        "--score",
        metavar="NAME[:key=value,…]",
        help="how an answer becomes a number (default: hard; label where labels are no nouns, or without WordNet)",
    )
    _add_caps(attack)
    options.add_log(attack)
    options.add_run(attack, DEFAULT_OUT)


def _add_goal(attack: argparse.ArgumentParser) -> None:
    goal = attack.add_argument_group("what counts as found")
    goal.add_argument("--target-class", metavar="LABEL", help="the label that must be reached (default: any other)")
    goal.add_argument(
        "--start", metavar="IMAGE", help="a photo to begin at, such as one of the target class; it is sent like IMAGE"
    )
    goal.add_argument(
        "--criterion",
        choices=CRITERIA,
        default=DEFAULT_CRITERION,
        help="when a label is lost: s1, the first one changed; s2, it is none of the clean answer's; s3, none is a kind"
        " of the clean one (default: %(default)s); all are judged of what is found",
    )
    goal.add_argument(
        "--tau",
        type=float,
        default=0.0,
        metavar="T",
        help="score above which a label counts for s3",
    )
    goal.add_argument("--linf", metavar="E[,E…]", help="largest changes at which success is reported too")
    goal.add_argument(
        "--check-preprocessing",
        type=int,
        default=0,
        metavar="N",
        help="queries, of the cap, that ask whether the change survives JPEG, resizing, cropping and rounding"
        f" (default: %(default)s, not asked; at least {LEAST})",
    )


def _add_caps(attack: argparse.ArgumentParser) -> None:
    caps = attack.add_argument_group("budget", description=RULE)
    caps.add_argument("--max-queries", type=int, metavar="N", help="the most that is asked, of anything")
    options.add_further_caps(caps)
    each = "of several: a cap of each attack on each image within the run"
    caps.add_argument("--max-queries-per-attack", type=int, metavar="N", help=each)
    caps.add_argument("--max-tokens-per-attack", type=int, metavar="N", help="likewise, in tokens")
    caps.add_argument("--max-usd-per-attack", metavar="X", help="likewise, in dollars")
    options.add_project(caps)
    add_ledger(caps)
    options.add_spare(caps)
    options.add_longest_wait(caps)
    options.add_drift(attack)


def _attack(chosen: argparse.Namespace) -> int:
    named, others = photos.expanded(chosen.images)
    attacks = split_specifications(chosen.attack)
    _check_caps(chosen)
    several = named != chosen.images or len(named) > 1 or len(attacks) > 1
    if not several and not _asks_for_series(chosen):
        chosen.image = named[0]
        return _attack_one(chosen)
    warn(*(f"left out, since its name is not a photo's: {other}" for other in photos.without(others, chosen.labels)))
    chosen.image, screen = named[0], SideBySide()
    request = _series_request(chosen, named, attacks, screen)
    if chosen.dry_run:
        return attack_several.estimate(request)
    return attack_several.attack(chosen, request, screen, lambda lines: _agree(chosen, lines))


def _check_caps(chosen: argparse.Namespace) -> None:
    """See that the queries are capped; a cap of each attack is one of the run too."""
    if chosen.max_queries is None and chosen.max_queries_per_attack is None:
        chosen.refuse("the following arguments are required: --max-queries (or --max-queries-per-attack, of several)")


def _asks_for_series(chosen: argparse.Namespace) -> bool:
    """Whether an option is given that several photos or attacks have alone."""
    return chosen.controls is not None or chosen.labels is not None or options.cap(chosen, "_per_attack") != Cap()


def _series_request(
    chosen: argparse.Namespace, named: Sequence[str], attacks: Sequence[str], watch: Watch
) -> AttackSeriesRequest:
    if chosen.labels is not None and chosen.target is not None:
        raise UsageError("--target is the label of all images, and --labels has that of each: give one of them")
    each = replace(_request(chosen, watch), attack=attacks[0], cap=options.cap(chosen, "_per_attack"))
    return AttackSeriesRequest(
        images=named, attacks=attacks, labels=[] if chosen.labels is None else photos.labels_of(named, chosen.labels),
        controls=_controls(chosen.controls), each=each, run=options.cap(chosen),
    )  # fmt: skip


def _controls(text: str | None) -> Sequence[Kind]:
    if text is None:
        return ()
    return KINDS if text == ALL else kinds_of(text.split(","))


def _attack_one(chosen: argparse.Namespace) -> int:
    if chosen.dry_run:
        say(*asyncio.run(_estimated(chosen)))
        return 0
    if not chosen.yes:
        _consent(chosen)
    with OutputFolder(chosen) as out:
        with logged(chosen.log):
            stress = asyncio.run(_attacked(chosen, out))
        made = {"command": chosen.typed, "source": chosen.image, "resume": _resume(stress, chosen.typed)}
        written = out.write(lambda place: report.write(stress, place, **made))
    _say(stress, chosen.typed)
    say(*written_and_spent(written, stress.budget, stress.queries))
    return out.exit_code(stress.error)


def _consent(chosen: argparse.Namespace) -> None:
    """Show the worst case and let a person agree to it, whatever it costs.

    Raises:
        UsageError: nobody is there to be asked, or they do not agree.
    """
    _agree(chosen, asyncio.run(_estimated(chosen)))


def _agree(chosen: argparse.Namespace, lines: Sequence[str]) -> None:
    """Let a person agree to what lines say. They need not be asked who have done so before."""
    if chosen.yes:
        return
    intro = f"An attack on {chosen.oracle}, which you must own or be authorised to test. It sends at most:"
    refusal = "an attack is agreed to beforehand: type yes on a terminal, or give --yes in a script"
    consent.ask([intro, *lines], refusal)


async def _estimated(chosen: argparse.Namespace) -> list[str]:
    request = _request(chosen)
    async with prepared(request) as job:
        found, price, cap = job.estimate(), job.oracle.capabilities.price, request.cap.picodollars
    _, *lines, nothing_asked = estimated(found, price.source)
    capped = [] if cap is None else [f"cap          never more than ${dollars(cap)}"]
    return [
        f"queries      {found.queries:,} at most, retries among them",
        *([] if price.free else lines),
        *capped,
        nothing_asked,
    ]


async def _attacked(chosen: argparse.Namespace, out: OutputFolder) -> Stress:
    with Screen() as screen:
        async with prepared(_request(chosen, screen)) as job:
            options.check_project(chosen)
            result = result_of(job.identity(), *job.request.reported)
            out.claim(default_name(chosen.image, result, chosen.oracle, chosen.attack, chosen.score), result)
            warn_of(job.placement)
            warn(*filter(None, [without_wordnet(job.oracle.capabilities, chosen.score)]))
            with open_ledger(None) as ledger:
                return await job.run(ledger)


def _request(chosen: argparse.Namespace, watch: Watch | None = None) -> AttackRequest:
    return AttackRequest(
        **options.shared(chosen, watch), attack=chosen.attack, rmse=_thresholds("--rmse", chosen.rmse),
        linf=_thresholds("--linf", chosen.linf), target=_target(chosen.target),
        target_class=target(chosen.target_class), start=chosen.start, criterion=chosen.criterion, tau=chosen.tau,
        check_preprocessing=chosen.check_preprocessing, score=chosen.score,
    )  # fmt: skip


def _thresholds(option: str, text: str | None) -> list[float]:
    try:
        return [] if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r}: give numbers above 0 and up to 1, separated by commas") from None


def _target(text: str | None) -> str | None:
    return None if text is None or text.lower() == "none" else target(text)


def _say(stress: Stress, typed: Sequence[str]) -> None:
    """Print what came of it, and on stderr what to be wary of."""
    say(f"queries: {counted(stress.queries)}")
    say(*verdict(stress))
    warn(*_warnings(stress, typed))


def _warnings(stress: Stress, typed: Sequence[str]) -> list[str]:
    error = stress.error
    lines = [cautions.line(each) for each in cautions.of_stress(stress)]
    if error is not None:
        lines.append(f"PARTIAL: {error}")
        lines.append(f"the best so far was kept; {completing.intro('the attack', error, stress.oracle)}")
        lines.append(f"  {_resume(stress, typed)}")
        lines += held(stress.unknown)
    return lines


def _resume(stress: Stress, typed: Sequence[str]) -> str:
    """Return the command that completes an attack that ended early; nothing of a whole one."""
    if stress.error is None:
        return ""
    return completing.command(completing.rerun(typed, stress.oracle), stress.rest, stress.error)
