"""Export and import of the answer store as a file of lines: an audit to publish, check and replay without a key.

`bbquery.ledger.store_lines` describes the lines. What was paid is not part of them: imported answers belong to no
attempt. Files are read and written line by line, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.errors import StorageFailed, UnknownName, UsageError
from bbquery.ledger import reports, store
from bbquery.ledger.store_lines import (
    AnswerLine,
    Fault,
    Header,
    OracleLine,
    Reading,
    answer_text,
    checked_answer,
    checked_oracle,
    header_text,
    oracle_text,
)
from bbquery.system import user_file

if TYPE_CHECKING:
    from bbquery.ledger.connection import Connection
    from bbquery.ledger.reports import KnownOracle

T = TypeVar("T")

LONGEST_LINE = 2**26  # bytes; a million classes in float64 need a sixth of it
FAULTS_SHOWN = 10


@dataclass
class Checked:
    """Result of a check. faults: the first few, with their places; bad: number of all."""

    oracles: int = 0
    answers: int = 0
    bad: int = 0
    faults: list[str] = field(default_factory=list)

    def blame(self, place: str, fault: Fault | str) -> None:
        """Count a fault."""
        self.bad += 1
        if self.bad <= FAULTS_SHOWN:
            self.faults.append(f"{place}: {fault}")

    def summary(self) -> str:
        """Return the faults for people."""
        more = [f"and {self.bad - FAULTS_SHOWN} more"] if self.bad > FAULTS_SHOWN else []
        return "\n  ".join((f"{self.bad} faults" if self.bad != 1 else "1 fault", *self.faults, *more))


# --- export ---


def export(
    connection: Connection, write: Callable[[bytes], object], names: Sequence[str] = (), top: int | None = None
) -> Header:
    """Write stored answers with the identities of their oracles; equal stores give equal files.

    names: only answers of these oracles, by name, model or the start of a fingerprint. top: only answers that were paid
    for in this budget or those within. Return what was written.

    Raises:
        UnknownName: no oracle is called so. StorageFailed: an answer in the store is damaged.
    """
    chosen, values = selection(connection, names, top)
    by_oracle = f"{chosen} SELECT oracle, count(*) FROM chosen GROUP BY oracle"  # noqa: S608 - no part of it is input
    in_order = f"{chosen} SELECT {_ANSWER} FROM chosen ORDER BY key"  # noqa: S608 - likewise
    counts = dict(connection.execute(by_oracle, values))
    header = Header(len(counts), sum(counts.values()))
    write(header_text(header))
    try:
        for oracle in _stored_oracles(connection):
            if oracle.fingerprint in counts:
                write(oracle_text(checked_oracle(oracle)))
        for row in connection.execute(in_order, values):
            write(answer_text(checked_answer(_stored_answer(row))))
    except Fault as fault:
        raise StorageFailed(f"the store is damaged: {fault}; 'bbquery store verify' shows all that is") from fault
    return header


def selection(
    connection: Connection, names: Sequence[str], top: int | None, before: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the SQL of a table `chosen` of answers, and its values. before: stored before this time, in UTC.

    Raises:
        UnknownName: no oracle is called so.
    """
    values: dict[str, Any] = {"top": top, "before": before}
    conditions = ["TRUE"]
    if names:
        wanted = _called(list(reports.oracles(connection).values()), names)
        values |= {f"oracle{place}": fingerprint for place, fingerprint in enumerate(sorted(wanted))}
        conditions.append(f"oracle IN ({', '.join(f':oracle{place}' for place in range(len(wanted)))})")
    if top is not None:
        conditions.append("attempt IN (SELECT id FROM attempt WHERE budget IN (SELECT id FROM branch WHERE inside))")
    if before is not None:
        conditions.append("created < :before")
    return (
        f"{reports.BRANCHES}, chosen AS (SELECT key, oracle, image, sample, answer, served, created FROM answer"  # noqa: S608 - likewise
        f" WHERE {' AND '.join(conditions)}) ",
        values,
    )


def _called(known: Sequence[KnownOracle], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        meant = {oracle.fingerprint for oracle in known if oracle.is_called(name)}
        if not meant:
            raise UnknownName("oracle in the store", name, [oracle.name for oracle in known])
        found |= meant
    return found


# --- the store itself ---


def verify_store(connection: Connection) -> Checked:
    """Recompute every fingerprint and key of the store, and unpack every answer."""
    count = "SELECT (SELECT count(*) FROM oracle), (SELECT count(*) FROM answer)"
    checked = Checked(*connection.execute(count).fetchone())
    for fault in faults(connection):
        checked.blame(fault.place, fault.text)
    return checked


@dataclass(frozen=True)
class Damage:
    """A fault in the store. of: the key of an answer, or the fingerprint of an oracle. text: why."""

    of: bytes | str
    text: str

    @property
    def place(self) -> str:
        """Return where it is, for people."""
        return f"answer {self.of.hex()}" if isinstance(self.of, bytes) else f"oracle {self.of}"


def faults(connection: Connection) -> Iterator[Damage]:
    """Yield every fault of stored oracles and answers."""
    for oracle in _stored_oracles(connection):
        if (fault := _fault(checked_oracle, oracle)) is not None:
            yield Damage(oracle.fingerprint, fault)
    for row in connection.execute(f"SELECT {_ANSWER} FROM answer ORDER BY key"):  # noqa: S608 - constant names
        answer = _stored_answer(row)
        if (fault := _fault(checked_answer, answer)) is not None:
            yield Damage(answer.key, fault)


def _fault(check: Callable[[T], object], line: T) -> str | None:
    """Return what is wrong with a line; None where nothing is."""
    try:
        check(line)
    except ValueError as error:
        return str(error)
    return None


def _blaming(checked: Checked, place: str, check: Callable[[T], object], line: T) -> None:
    try:
        check(line)
    except Fault as fault:
        checked.blame(place, fault)


def _stored_oracles(connection: Connection) -> Iterator[OracleLine]:
    stored = "SELECT CAST(fingerprint AS BLOB), CAST(identity AS BLOB) FROM oracle ORDER BY fingerprint"
    for fingerprint, identity in connection.execute(stored):
        yield OracleLine(_read(fingerprint), _read(identity))


def _stored_answer(row: Sequence[Any]) -> AnswerLine:
    """Return a row of `_ANSWER` as a line, whatever its texts are."""
    key, oracle, image, sample, answer, served, created = row
    return AnswerLine(
        key, _read(oracle), image, sample, answer, None if served is None else _read(served), _read(created)
    )


def _read(text: bytes) -> str:
    """Return a stored text; what is no text in it is written out."""
    return text.decode(errors="backslashreplace")


# A damaged text is no text that the driver reads: as bytes it is.
_ANSWER = "key, CAST(oracle AS BLOB), image, sample, answer, CAST(served AS BLOB), CAST(created AS BLOB)"


# --- a file ---


def verify_file(path: Path) -> Checked:
    """Check every line of an exported file, without a store: fingerprints, keys, answers, order and number.

    Raises:
        UsageError: it cannot be read, or is no such file at all.
    """
    checked = Checked()
    reading = Reading()
    for number, text in _texts(path):
        try:
            line = reading.line(text)
        except Fault as fault:
            if number == 1:
                raise UsageError(f"{path} is not a file of bbquery's answers: {fault}") from fault
            checked.blame(f"line {number}", fault)
            continue
        checked.oracles += isinstance(line, OracleLine)
        checked.answers += isinstance(line, AnswerLine)
    _blaming(checked, "the end", lambda r: r.end(), reading)
    return checked


def _texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield every line with its number, counted from 1."""
    try:
        with user_file.opened(path, "the answers") as file:
            number = 0
            while text := file.readline(LONGEST_LINE):
                number += 1
                yield number, text
    except OSError as error:
        raise UsageError(f"cannot read the answers {str(path)!r}: {error.strerror}") from error


# --- import ---


@dataclass
class Imported:
    """Result of an import. added: new answers. known: answers that were there already, and are equal.

    different: how many answers disagree with the store's own, which stay; examples: the keys of the first of them.
    """

    added: int = 0
    known: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)


def import_file(connection: Connection, path: Path) -> Imported:
    """Add a file's answers to the store, in the caller's transaction: all of them, or none.

    Raises:
        UsageError: a line is wrong; `verify_file` tells which ones.
    """
    imported = Imported()
    reading = Reading()
    number = 0
    try:
        for number, text in _texts(path):  # noqa: B007 - the fault below names it
            line = reading.line(text)
            if isinstance(line, OracleLine):
                store.remember_oracle(connection, line.fingerprint, line.identity)
            elif isinstance(line, AnswerLine):
                _add(connection, line, imported)
        reading.end()
    except Fault as fault:
        raise UsageError(f"{path} cannot be imported: line {number}: {fault}; nothing was") from fault
    return imported


def _add(connection: Connection, line: AnswerLine, imported: Imported) -> None:
    there = connection.execute("SELECT answer FROM answer WHERE key = ?", (line.key,)).fetchone()
    if there is None:
        connection.execute(
            "INSERT INTO answer (key, oracle, image, sample, answer, served, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (line.key, line.oracle, line.image, line.sample, line.answer, line.served, line.created),
        )
        imported.added += 1
    elif there[0] == line.answer:
        imported.known += 1
    else:
        imported.different += 1
        if imported.different <= FAULTS_SHOWN:
            imported.examples.append(line.key.hex())
