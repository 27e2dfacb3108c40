"""Stress tests: one image attacked within a hard budget, and the result."""
