"""Calibration: what a few queries tell of an oracle's noise, its range, and how it is best asked."""
