"""Import of a user's own code by name: `package.module` and an attribute, also from the current folder."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from bbquery.errors import UsageError, did_you_mean


def imported(module: str, name: str) -> Any:
    """Return the attribute of a user's module by its dotted name. The current folder is searched last.

    Raises:
        UsageError: there is no such module or name, or importing the module fails.
    """
    found = _module(module, name)
    try:
        return getattr(found, name)
    except AttributeError:
        place = getattr(found, "__file__", None) or "built into Python"
        meant = did_you_mean(name, [known for known in dir(found) if not known.startswith("_")])
        raise UsageError(f"cannot import {name!r} from {module!r} ({place}): it has no such name{meant}") from None


def _module(module: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # and stays: what the module imports while it is called is looked for there too
        importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module != missing and not module.startswith(f"{missing}."):
            raise UsageError(f"cannot import {name!r} from {module!r}, which imports {missing!r}: {error}") from error
        meant = did_you_mean(module, _modules_in(Path(here)))
        raise UsageError(
            f"cannot import {name!r} from {module!r}: neither the current folder {here} nor an installed package has "
            f"a module {missing!r}{meant}"
        ) from None
    except (Exception, SystemExit) as error:  # importing runs the module, which may raise anything
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"cannot import {name!r} from {module!r}: importing it raised {said}") from error


def _modules_in(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.py")]
