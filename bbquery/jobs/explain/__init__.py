"""Explaining images: request and checks, the run, its result, and warnings about it."""
