"""Shared by oracles of every kind: options, secrets, prices, labels, numbers and texts."""
