"""Perturbed copies of a photo as lazy sequences of images: rows are rendered when indexed and never held."""
