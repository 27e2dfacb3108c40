"""Plan of an audit: what its TOML file may hold, with types, ranges and defaults. Names are those of the command line.

These classes are the one source: a file is checked by them (`bbquery.jobs.audit.reading`), and the JSON Schema that is
published for editors is made of them and of their docstrings (`bbquery.jobs.audit.schema`).

A table that is left out is not asked for: without [explain] there are no maps, without [attack] no attacks. The
unperturbed photo is asked in any case.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from bbquery.drift import DEFAULT_EVERY
from bbquery.jobs.attack.request import DEFAULT_ATTACK, DEFAULT_RMSE
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.request import Request
from bbquery.ledger.records import LARGEST_AMOUNT, Cap

Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$(?!\n)",
        extra={"words": "a name of up to 60 letters, digits, hyphens, dots and underscores, a letter or digit first"},
    ),
]
"""What a folder and a budget are called."""
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
OracleName = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"kind": "oracle"})]
MethodName = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"kind": "method"})]
MetricName = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"kind": "metric"})]
AttackName = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"kind": "attack"})]
ScoreName = Annotated[str, Meta(min_length=1, max_length=10_000, extra={"kind": "score"})]
Amount = Annotated[int, Meta(ge=1, le=LARGEST_AMOUNT)]
Count = Annotated[int, Meta(ge=1, le=10**8)]
"""What is counted one by one: queries of a photo, photos, requests a minute; many more than anybody can ask."""
Dollars = Annotated[
    Annotated[int, Meta(ge=1)]
    | Annotated[float, Meta(gt=0, le=9e6)]
    | Annotated[str, Meta(pattern=r"^[0-9]*\.?[0-9]+$")],
    Meta(extra={"words": "dollars above 0, a number or the same as text"}),
]
"""Dollars: a number, or a text that holds one exactly."""
Wait = Annotated[
    Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?[smhd]?$")],
    Meta(extra={"words": 'seconds, or such as "15m", "6h" or "1d"'}),
]
Share = Annotated[float, Meta(ge=0, le=1)]
Distance = Annotated[float, Meta(gt=0, le=1)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a plan file: what it does not know is an error."""


class Photos(Table, frozen=True, kw_only=True):
    """Photos to audit.

    Args:
        from_: photos, in this order: files, folders (their photos by name; not the folders in them), patterns such as
            "shop/**/*.jpg", samples such as "sample:cat", and CSV files of photo,label,box. Paths count from the plan's
            folder, those in a CSV file from its own.
        limit: how many photos are taken, the first of their order; all if it is left out.
        order: "given" takes them as they are listed; "random" shuffles them by the plan's seed, so that a limit, or a
            cap that ends the audit early, leaves a random sample.
        allow_outside: whether photos may lie outside the plan's folder.
    """

    from_: Annotated[tuple[Text, ...], Meta(min_length=1)] = field(name="from")
    limit: Count | None = None
    order: Literal["given", "random"] = "given"
    allow_outside: bool = False


class OraclePlan(Table, frozen=True, kw_only=True):
    """A model to ask.

    Args:
        name: what it is called in this audit: in its budget, its folder and the report.
        oracle: a specification as --oracle takes it, such as "google_vision".
        target: what to explain in each photo, one label or several; "{label}" stands for the photo's label in the CSV
            file. Left out, it is the top class. An attack takes the first. "each" is everything that a photo's first
            answer names, without metrics and attacks.
        score: how an answer becomes a number for maps and metrics; see 'bbquery list scores'.
        attack_score: likewise for attacks.
        max_queries: cap of this oracle, in queries.
        max_tokens: cap of this oracle, in tokens.
        max_usd: cap of this oracle, in dollars.
        requests_per_minute: how many requests a minute it takes, for the dry run where nothing is known of its limits.
        tokens_per_minute: likewise, how many tokens a minute.
        drift_every: queries between checks that a remote model stays the same, 0 for none.
        longest_wait: how long the audit waits for it when it asks to be left alone, in seconds or such as "15m".
    """

    name: Name
    oracle: OracleName
    target: Text | Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    score: ScoreName | None = None
    attack_score: ScoreName | None = None
    max_queries: Amount | None = None
    max_tokens: Amount | None = None
    max_usd: Dollars | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Amount | None = None
    drift_every: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] = DEFAULT_EVERY
    longest_wait: Wait | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that are named, in their order; none means the top class."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def cap(self) -> Cap:
        """Its caps."""
        return Cap.stated(self.max_queries, self.max_tokens, self.max_usd)


class Explain(Table, frozen=True, kw_only=True):
    """Maps to make of each photo on each oracle.

    Args:
        methods: how to explain, each a specification as --method takes it; see 'bbquery list methods'.
        max_queries: the most that one method asks about one photo, with its facts and its checks.
        verify: how many of these are kept for the verified facts of each map, 0 for none.
        metrics: how good each map is, each a specification as --metrics takes it; see 'bbquery list metrics'. They are
            asked beside max_queries.
    """

    methods: Annotated[tuple[MethodName, ...], Meta(min_length=1)] = (DEFAULT_METHOD,)
    max_queries: Count = Request.DEFAULT_QUERIES
    verify: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] | None = None
    metrics: tuple[MetricName, ...] = ()


class AttackPlan(Table, frozen=True, kw_only=True):
    """Attacks on each photo on each oracle.

    Args:
        attacks: each a specification as --attack takes it; see 'bbquery list attacks'.
        max_queries: the most that one attack asks about one photo, with its checks.
        rmse: distances at which robustness is reported.
        linf: further distances, of the most that a pixel changes.
    """

    attacks: Annotated[tuple[AttackName, ...], Meta(min_length=1)] = (DEFAULT_ATTACK,)
    max_queries: Count = Request.DEFAULT_QUERIES
    rmse: Annotated[tuple[Distance, ...], Meta(min_length=1)] = DEFAULT_RMSE
    linf: tuple[Distance, ...] = ()


class Repeat(Table, frozen=True, kw_only=True):
    """Asking the unperturbed photo again, to see whether its answer stays.

    Args:
        times: how often it is asked in all.
    """

    times: Annotated[int, Meta(ge=2, le=1000)]


class PhotoCaps(Table, frozen=True, kw_only=True):
    """Caps of one photo on one oracle, all that is asked of it together.

    A photo whose worst case is above one of them is not begun, since it would stay a half; the others are. What an
    earlier form of the plan took of a photo counts in its worst case.

    Args:
        max_queries: in queries.
        max_tokens: in tokens.
        max_usd: in dollars.
    """

    max_queries: Amount | None = None
    max_tokens: Amount | None = None
    max_usd: Dollars | None = None

    @property
    def cap(self) -> Cap:
        """These caps."""
        return Cap.stated(self.max_queries, self.max_tokens, self.max_usd)


class Caps(Table, frozen=True, kw_only=True):
    """Caps of the whole audit. A photo is begun only where its worst case fits in what is left.

    Args:
        max_queries: in queries.
        max_tokens: in tokens.
        max_usd: in dollars.
        max_hours: hours of one run after which no photo is begun; those at work end.
        photo: caps of one photo on one oracle.
    """

    max_queries: Amount | None = None
    max_tokens: Amount | None = None
    max_usd: Dollars | None = None
    max_hours: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    photo: PhotoCaps = PhotoCaps()

    @property
    def cap(self) -> Cap:
        """The caps of the whole audit that a ledger counts: all but hours."""
        return Cap.stated(self.max_queries, self.max_tokens, self.max_usd)


class RobustShare(Table, frozen=True, kw_only=True):
    """How many photos must withstand the attacks.

    Args:
        rmse: the distance within which no attack may succeed; one of [attack] rmse.
        share: the least share of photos that withstand, 0 to 1.
    """

    rmse: Distance
    share: Share


class Agreement(Table, frozen=True, kw_only=True):
    """How far oracles must agree, each pair of them.

    Args:
        oracles: their names.
        labels: the least share of photos with the same first label, 0 to 1.
        maps: the least mean rank correlation of their maps, -1 to 1.
    """

    oracles: Annotated[tuple[Text, ...], Meta(min_length=2)]
    labels: Share | None = None
    maps: Annotated[float, Meta(ge=-1, le=1)] | None = None


class Gates(Table, frozen=True, kw_only=True):
    """Conditions, each met on every oracle, or the exit code is 5.

    Args:
        min_fidelity: the least mean fidelity of maps (insertion minus deletion, the metric srg), -1 to 1; the lower end
            of its 90 % interval counts.
        max_label_flips: the largest share of photos whose first label changed when they were asked again.
        min_robust_share: how many photos must withstand the attacks.
        max_refusals: the largest share of photos whose unperturbed form got no usable answer.
        no_drift: whether a model that changed while a photo was asked fails; stored answers cannot tell.
        agreement_between: how far oracles must agree.
    """

    min_fidelity: Annotated[float, Meta(ge=-1, le=1)] | None = None
    max_label_flips: Share | None = None
    min_robust_share: RobustShare | None = None
    max_refusals: Share | None = None
    no_drift: bool = False
    agreement_between: Agreement | None = None


class Plan(Table, frozen=True, kw_only=True):
    """Plan of an audit.

    Args:
        name: of its budgets and of its default folder; the same name goes on with the same budgets.
        seed: decides every random choice.
        out: folder of the results, in the plan's folder.
        photos: which photos.
        oracles: which models.
        explain: maps to make.
        attack: attacks to try.
        repeat: asking the unperturbed photo again.
        caps: the most that the audit may take.
        gates: conditions that the audit checks.
    """

    name: Name
    seed: Annotated[int, Meta(ge=0, le=LARGEST_AMOUNT)] = 0
    out: Text | None = None
    photos: Photos
    oracles: Annotated[tuple[OraclePlan, ...], Meta(min_length=1, max_length=100)]
    explain: Explain | None = None
    attack: AttackPlan | None = None
    repeat: Repeat | None = None
    caps: Caps = Caps()
    gates: Gates = Gates()
