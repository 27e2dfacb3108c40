"""Recognise an answer that comes as a stream though none was asked for."""

from __future__ import annotations

import re

_EVENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:(?:data|event|id|retry)[ \t]*:|: ?\S)")
_LINES = re.compile(rb"\s*\{[^\r\n]*\}[ \t]*\r?\n\s*\{")

STREAMED = (
    "the server streams its answer (server-sent events or JSON lines), and one in one piece was asked for: turn "
    "streaming off in the server or the gateway before it"
)


def is_stream(body: bytes) -> bool:
    """Whether a body that is no JSON begins as a stream of events does, or holds an object of JSON a line."""
    return _EVENT.match(body) is not None or _LINES.match(body) is not None
