"""Stress tests: one image attacked within a hard budget, and what it came to."""
