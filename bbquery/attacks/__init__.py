"""Attacks, for evaluating models one owns or is authorised to test: one algorithm a file. This version has none."""
