"""Many results from Python as a folder: the files of each as soon as it is there, and the page on all."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from bbquery import option_types
from bbquery.errors import UsageError
from bbquery.images.reading import described
from bbquery.jobs.attack.series import Attacked
from bbquery.jobs.attack.whole import Tally
from bbquery.jobs.explain.series import ImageResult
from bbquery.report import attacks
from bbquery.report.claim import claimed
from bbquery.report.pages import index
from bbquery.report.pages.attacks import thumbnail
from bbquery.report.pages.page import check_extra
from bbquery.report.presenting import in_words_of_save, save

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from bbquery.report.pages.parts import Picture

OneOfMany: TypeAlias = ImageResult | Attacked
SOURCES = "bbquery.explain_many or bbquery.attack_many"


def save_many(
    results: Iterable[ImageResult] | Iterable[Attacked], folder: str | os.PathLike[str], *, force: bool = False
) -> Path:
    """Write the files of each result into a folder of its own, and one page on all; return the path of that page.

    results: of `bbquery.explain_many` or `bbquery.attack_many`: the call itself, or its results in a list. Each is
    written as soon as it is there, and its pixels are dropped, so that many photos need the memory of one. folder:
    where to, made where absent. force: also into folders that hold files of something else.

    Raises:
        UsageError: a folder cannot be written, or holds files of something else, or there is no result. What was
            answered is kept all the same.
        MissingExtra: a package of the extra "report" is not installed.
    """
    place = option_types.folder("folder", folder)
    check_extra()  # before anything is asked
    book: _Photos | _Attacks | None = None
    with in_words_of_save(), contextlib.ExitStack() as opened:
        if isinstance(results, Generator):
            opened.enter_context(contextlib.closing(results))
        for result in _checked(results):
            if book is None:
                run = result.run if isinstance(result, ImageResult) else result.part_of.run
                opened.enter_context(claimed(place, run, force=force))
                book = _Photos(place, force) if isinstance(result, ImageResult) else _Attacks(place, force)
            book.take(result)
            del result  # or the pixels of two are held while the next is made
        if book is None:
            raise UsageError("there is no result to save")
        return book.page()


def _checked(results: object) -> Iterator[OneOfMany]:
    """Give results, all of one kind."""
    if not isinstance(results, Iterable):
        raise UsageError(f"results must be those of {SOURCES}, not {type(results).__name__}")
    kind: type[OneOfMany] | None = None
    for result in results:
        if not isinstance(result, kind or OneOfMany):
            raise UsageError(f"results must be those of {SOURCES}, and one is {type(result).__name__}")
        kind = type(result)
        yield result
        del result


@dataclass
class _Photos:
    """The folder of explained photos. last: without its explanation."""

    place: Path
    force: bool
    entries: list[index.Entry] = field(default_factory=list)
    last: ImageResult | None = None

    def take(self, result: OneOfMany) -> None:
        assert isinstance(result, ImageResult)  # noqa: S101 - all are of one kind
        if result.explanation is not None:
            save(result.explanation, self.place / result.name, force=self.force)
        self.entries.append(index.entry(result, described(result.source)))
        self.last = replace(result, explanation=None)

    def page(self) -> Path:
        assert self.last is not None  # noqa: S101 - made for the first
        return index.write(self.place, self.entries, budget=self.last.budget, command=(), python=self.last.call)


@dataclass
class _Attacks:
    """The folder of attacks on photos. last: without what it found."""

    place: Path
    force: bool
    tally: Tally = field(default_factory=Tally)
    thumbnails: dict[tuple[str, str], Picture] = field(default_factory=dict)
    last: Attacked | None = None

    def take(self, result: OneOfMany) -> None:
        assert isinstance(result, Attacked)  # noqa: S101 - all are of one kind
        if result.stress is not None:
            save(result.stress, self.place / result.image / result.attack, force=self.force)
            self.thumbnails[result.image, result.attack] = thumbnail(result.stress)
        self.tally.take(result)
        self.last = replace(result, stress=None)

    def page(self) -> Path:
        assert self.last is not None  # noqa: S101 - made for the first
        whole = self.tally.whole(self.last.part_of, self.last.call)
        return attacks.write(whole, self.place, command=(), thumbnails=self.thumbnails)[-1]
