"""Outputs and pictures that pages have of their own commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from docs.site import made

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
PAGE = """\
<!-- skip: next "not for a test" -->
```sh
echo not run
```

```python
# one.py
print("one")
```

```sh
python one.py
```

<!-- output -->
```text
```

Between.

![A picture](picture.png)
<!-- from made.png -->

```sh
echo two && cp one.py made.png
```

<!-- output -->
```text
old
```
"""


def test_what_a_page_shows_is_made_by_its_commands(tmp_path: Path) -> None:
    """Each output is what the commands above it print, pictures are what they wrote, and all else stays as it is."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")

    made.main([str(page)])

    expected = PAGE.replace("```text\n```", "```text\none\n```").replace("old", "two")
    assert page.read_text(encoding="utf-8") == expected
    assert (tmp_path / "picture.png").read_text(encoding="utf-8").startswith("# one.py")
