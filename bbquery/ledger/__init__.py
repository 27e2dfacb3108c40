"""Budgets and what was spent of them: reserve before send, settle after, and never forget an unknown outcome."""
