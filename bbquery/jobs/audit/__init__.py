"""Audits: one plan file, many photos, several models, one cap, one report."""
