"""Saliency maps from answers alone: one algorithm a file, each with a plan that returns a `SaliencyMap`."""
