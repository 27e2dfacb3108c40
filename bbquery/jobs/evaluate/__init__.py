"""Judging a saliency map by asking the oracle: what can be measured, how a map gets there, and the asking."""
