"""Stress-test one image: look for the nearest change of it that changes what an oracle answers, within a hard budget.

Theory of operation.

1. The run's cap holds for everything that is asked: the clean image (once, five times more for how often its label
   flips by itself, and for drift), the attack, and the verification of what it found.
2. What verification may cost is set aside at the start: the attack has a budget of its own within the run's, whose caps
   are the run's less that. So however the attack ends, five queries are left, retries included. Where the clean label
   flips, ten more of the clean image and ten of what was found tell that from chance (`votes`); the attack is that much
   shorter. Where they are not (a
   project's cap, an oracle that fails, a person who stops), what was found is *unverified*, which is no success.
3. The distance is that of pixels that were asked, exactly: the result is one of the attack's own queries.
4. A run is named after all that decides what is asked: the same again resumes the same budgets, and asks only for what
   was never answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from bbquery import load
from bbquery.client import waiting
from bbquery.client.client import Client
from bbquery.drift import DEFAULT_EVERY, checks_for
from bbquery.errors import BudgetExhausted, UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.jobs.attack import votes
from bbquery.jobs.attack.result import Stress
from bbquery.jobs.attack.search import REPEATS as CLEAN_REPEATS
from bbquery.jobs.attack.search import Search
from bbquery.jobs.estimate import estimate
from bbquery.jobs.explain import explain
from bbquery.jobs.probe.job import Unwatched
from bbquery.jobs.spare import Rest, kept
from bbquery.ledger import codec
from bbquery.ledger.projects import name_within, open_within
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import open_ledger
from bbquery.scoring.mention import BoundMention
from bbquery.specification import constructor
from bbquery.types import Text

if TYPE_CHECKING:
    import os
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack
    from bbquery.drift import DriftReport
    from bbquery.images.placement import Placement
    from bbquery.jobs.attack.search import Sought
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.estimate import Estimate
    from bbquery.jobs.probe.job import Watch
    from bbquery.ledger.records import BudgetState
    from bbquery.ledger.sqlite import Ledger
    from bbquery.oracle import Capabilities, Oracle
    from bbquery.scoring.base import Score
    from bbquery.types import Image
    from bbquery.units import Units

REPEATS = 5  # of the image that was found
DEFAULT_ATTACK = "lr_mifgsm"
DEFAULT_RMSE = (0.1, 0.05, 0.01)


def attack(image: str | os.PathLike[str] | Image, oracle: Oracle | str, **options: Any) -> Stress:
    """Stress-test an oracle on an image; the synchronous form of `attack_async`, same options.

    Raises:
        UsageError: called inside a running event loop: use `await attack_async(...)` there.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError("an event loop is running: use 'await bbquery.attack_async(...)'")
    return asyncio.run(attack_async(image, oracle, **options))


async def attack_async(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    max_queries: int,
    attack: Attack | str = DEFAULT_ATTACK,
    rmse: Sequence[float] = DEFAULT_RMSE,
    target: str | None = None,
    score: Score | str | None = None,
    max_tokens: int | None = None,
    max_usd: str | Decimal | None = None,
    project: str | None = None,
    spare: int | None = None,
    drift_every: int = DEFAULT_EVERY,
    seed: int = 0,
    ledger: Ledger | None = None,
    watch: Watch | None = None,
    longest_wait: float | None = None,
) -> Stress:
    """Look for the nearest image that an oracle no longer gives the clean label, asking at most `max_queries` queries.

    Only for models that you own or are authorised to test. image: a path, "sample:NAME" or an array (H, W, 3). attack:
    an object, or a specification such as "lr_mifgsm:steps=10"; unless it says otherwise it asks all queries that the
    clean image, its checks and the verification leave, within a first ball of the largest `rmse`. rmse: the distances
    at which success is reported. target: the image's true label, which must be lost; None takes the clean answer's own.
    score: an object or specification; None is WordNet's similarity ("hard") where the labels are nouns, else whether
    the label is the same ("label"). The other options are those of `bbquery.explain_async`.

    A run that is stopped early returns the best so far; `error` and `stopped` say so.

    Raises:
        UsageError: bad input or too small a cap, found before anything is sent.
        OracleError, BudgetExhausted: not even the clean image was answered.
    """
    began = time.perf_counter()
    cap = Cap.stated(max_queries, max_tokens, max_usd)
    async with prepared(
        image, oracle, attack=attack, rmse=rmse, target=target, score=score, cap=cap, drift_every=drift_every,
        seed=seed, spare=spare,
    ) as job:  # fmt: skip
        with open_ledger(ledger) as opened, waiting.at_most(longest_wait):
            return await job.run(opened, project, watch or Unwatched(), began)


@contextlib.asynccontextmanager
async def prepared(
    image: str | os.PathLike[str] | Image,
    oracle: Oracle | str,
    *,
    attack: Attack | str,
    rmse: Sequence[float],
    target: str | None,
    score: Score | str | None,
    cap: Cap,
    drift_every: int,
    seed: int,
    spare: int | None = None,
) -> AsyncIterator[Job]:
    """Check everything that can be checked before a query; give what is ready to run, or to be estimated."""
    photo = reading.load(image)
    thresholds = tuple(sorted(set(rmse), reverse=True))
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise UsageError(f"distances of RMSE lie above 0 and up to 1, not {', '.join(map(str, rmse)) or 'none'}")
    if drift_every < 0:
        raise UsageError(f"drift checks every {drift_every} queries make no sense: give 0 for none, or more")
    async with explain.connection(oracle) as connected:
        capabilities = connected.capabilities
        if capabilities.domain.dtype != "uint8":
            raise UsageError(f"{capabilities.name} takes floating-point pixels; attacks are exact on 8-bit pixels only")
        every = drift_every if capabilities.remote else 0
        scores = _scores(capabilities, score, [] if target is None else [target])
        queries = cap.queries or 0
        aside = kept(queries, capabilities.price, spare)
        chosen = _attack(attack, queries, aside, every, thresholds[0])
        x, placement = fit(photo, capabilities.view, capabilities.domain)
        source = reading.called(image)
        job = Job(photo, x, connected, chosen, scores, target, thresholds, every, seed, cap, aside, placement, source)
        job.search_cap()  # before anything is asked
        yield job


def _scores(capabilities: Capabilities, wanted: Score | str | None, targets: list[str]) -> list[Score]:
    """Return the scores to try on the clean answer, in this order.

    Raises:
        UsageError: the one that is wanted, or every usual one, cannot read the answers.
    """
    if wanted is not None:
        scores = [load.score(wanted) if isinstance(wanted, str) else wanted]
    else:
        scores = [load.score("label")] if capabilities.answers == "text" else [load.score("hard"), load.score("label")]
    _check_mentioned(capabilities, targets)
    for score in scores[:-1]:
        with contextlib.suppress(UsageError):
            score.check(capabilities, targets)
            return [score, scores[-1]]
    scores[-1].check(capabilities, targets)
    return scores[-1:]


def _check_mentioned(capabilities: Capabilities, targets: list[str]) -> None:
    """See that a text can mention the target: one of a closed set does where the name of a class does.

    Raises:
        UnknownName: no class does.
    """
    if capabilities.answers != "text" or capabilities.classes is None:
        return
    names = [name for of_class in capabilities.classes.names for name in of_class]
    for target in targets:
        mentioned, _ = BoundMention(target)([Text(name) for name in names])
        if not mentioned.any():
            raise UnknownName("label", target, names)


def overhead(queries: int, every: int) -> int:
    """Return how many of a run's queries are not the attack's: clean image, its repeats and checks, verification."""
    return 1 + CLEAN_REPEATS + checks_for(queries, every) + REPEATS


def _attack(attack: Attack | str, queries: int, spare: int, every: int, rmse: float) -> Attack:
    """Make the attack, and see that its queries fit into the cap. spare: of these, kept for lost ones."""
    others = overhead(queries - spare, every)
    left = queries - spare - others
    lost = f", and {spare} are kept for lost ones" if spare else ""
    told = f"of {queries} queries the clean image, its checks and the verification take {others}{lost}"
    if left < 1:
        raise UsageError(f"{told}: allow more with --max-queries")
    try:
        chosen = load.attack(attack, queries=left, rmse=rmse) if isinstance(attack, str) else attack
    except UsageError as error:
        raise UsageError(f"{told}, which leaves {left}: {error}") from error
    if chosen.queries > left:
        raise UsageError(
            f"{told}, and {constructor(chosen)} asks {chosen.queries}: raise --max-queries or lower the attack's"
        )
    return chosen


@dataclass(eq=False)
class Job:
    """An attack, checked and ready to run. x: the clean pixels that are sent. every: queries between drift checks.

    spare: queries of the cap that are kept for lost ones.
    """

    photo: NDArray[np.uint8]
    x: Image
    oracle: Oracle
    attack: Attack
    scores: list[Score]
    target: str | None
    thresholds: tuple[float, ...]
    every: int
    seed: int
    cap: Cap
    spare: int
    placement: Placement
    source: str

    @property
    def queries(self) -> int:
        """How many queries it sends at most, retries not counted."""
        return self.attack.queries + overhead(self.attack.queries, self.every)

    @property
    def _verifying(self) -> int:
        return REPEATS + (1 if self.every else 0)

    @property
    def _reserved(self) -> int:
        """Queries of the verification, and one of those that are kept for lost ones."""
        return self._verifying + min(self.spare, 1)

    @property
    def worst(self) -> Units:
        """The most that a query may cost."""
        return self.oracle.quote(self.oracle.encode(self.x)).worst

    def estimate(self) -> Estimate:
        """Return what it would cost if every query of its cap were sent, retries among them; nothing is sent."""
        quote = self.oracle.quote(self.oracle.encode(self.x))
        return estimate(quote, self.cap.queries or self.queries, self.oracle.capabilities.limits)

    def search_cap(self) -> Cap:
        """Return the caps of all but the verification.

        Raises:
            UsageError: a cap leaves nothing for it.
        """
        worst = self.worst.times(self._reserved)
        try:
            return Cap(
                queries=None if self.cap.queries is None else self.cap.queries - self._reserved,
                tokens=None if self.cap.tokens is None else self.cap.tokens - worst.tokens,
                picodollars=None if self.cap.picodollars is None else self.cap.picodollars - worst.picodollars,
            )
        except UsageError as error:
            told = f"the verification alone, {self._reserved} queries, would take a whole cap: raise it"
            raise UsageError(told) from error

    def identity(self) -> str:
        """Return the hash of what this run asks; a second run with the same resumes its budgets."""
        what = {
            "attack": constructor(self.attack),
            "image": [codec.image_digest(self.photo).hex(), codec.image_digest(self.x).hex()],
            "oracle": codec.fingerprint(self.oracle.capabilities.identity)[0],
            "scores": [constructor(score) for score in self.scores],
            "target": self.target,
            "seed": self.seed,
        }
        return blake3(json.dumps(what).encode()).hexdigest(length=8)

    async def run(self, ledger: Ledger, project: str | None, watch: Watch, began: float) -> Stress:
        """Ask, attack, and verify."""
        whole, own, rest = self._budgets(ledger, project)
        seconds = {"prepare": time.perf_counter() - began}
        async with Client(self.oracle, ledger, own, progress=watch.progressed, waiting=watch.waiting) as client:
            watch.follow(client, self.queries - self._verifying)
            search = Search(self.x, self.attack, self.scores, self.target, self.every, self.seed)
            sought = await search.run(client, watch)
        seconds["attack"] = time.perf_counter() - began - seconds["prepare"]
        async with Client(self.oracle, ledger, rest, progress=watch.progressed, waiting=watch.waiting) as verifier:
            _pass_on(client, verifier)
            watch.follow(verifier, self._verifying + sought.more)
            verification, drift = await _verified(verifier, sought)
        seconds["verify"] = time.perf_counter() - began - sum(seconds.values())
        return Stress(
            run=self.identity(), photo=self.photo, x=self.x, clean=sought.clean, votes=sought.votes,
            oracle=self.oracle.capabilities, attack=self.attack, score=sought.score, bound=sought.bound,
            thresholds=self.thresholds, seed=self.seed, found=None if sought.driven is None else sought.driven.result,
            verification=verification, stopped=None if sought.driven is None else sought.driven.stopped,
            error=client.halt.error or verifier.halt.error, unread=sought.unread, drift=drift,
            queries=client.tally.plus(verifier.tally), budget=ledger.budget(whole),
            unknown=(*ledger.unknowns(own), *ledger.unknowns(rest)), seconds=seconds,
            rest=self._rest(client, verifier, ledger.budget(whole)),
        )  # fmt: skip

    def _rest(self, client: Client, verifier: Client, whole: BudgetState) -> Rest:
        """Return what completing it takes. One more is kept, which is set aside for the verification.

        Where the search ended early, the verification was of another image than the whole one will find.
        """
        answered = client.tally.answered + (0 if client.halt else verifier.tally.answered)
        return Rest((self.cap.queries or 0) - self.spare, self.queries + 1, answered, self.worst, whole)

    def _budgets(self, ledger: Ledger, project: str | None) -> tuple[int, int, int]:
        """Make or resume the budgets of the run, and within it of the search and of the verification."""
        run = f"attack-{self.identity()}"
        whole, name = open_within(ledger, project, run, self.cap, self.source), name_within(project, run)
        own = ledger.open_budget(f"{name}/search", self.search_cap(), whole)
        return whole, own, ledger.open_budget(f"{name}/verification", Cap(), whole)


def _pass_on(client: Client, verifier: Client) -> None:
    """Let what ended the search keep the verification from asking, but for a budget, which leaves it its own."""
    error = client.halt.error
    if error is not None and not isinstance(error, BudgetExhausted):
        verifier.halt.set(error, logging.DEBUG)


async def _verified(client: Client, sought: Sought) -> tuple[Votes | None, DriftReport]:
    """Ask the image that was found again, and the clean one a last time."""
    best = None if sought.driven is None else sought.driven.result.best
    counted = None
    if best is not None and not client.halt:
        replies = await votes.ask(client, best, REPEATS + sought.more, first=1)  # the search had its 0
        counted = votes.count(sought.bound, replies)
    return counted, await sought.drift.end(client)
