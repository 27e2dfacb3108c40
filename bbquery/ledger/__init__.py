"""Budgets and spending: reserve before sending, settle afterwards, and never forget an unknown outcome."""
