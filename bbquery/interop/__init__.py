"""Bridges to libraries that explain models: they get a plain function, behind which budget, store and client work."""
