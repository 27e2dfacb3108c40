"""Scores: from an oracle's answer to a decision and a value. One score a file; `base` has the protocol."""
