"""Evaluating a saliency map by asking the oracle: the chosen metrics, reading of maps, and the run."""
