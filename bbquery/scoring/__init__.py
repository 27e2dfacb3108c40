"""From an oracle's answer to a decision and a number. A module here is a score; `base` holds what they share."""
