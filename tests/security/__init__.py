"""Attacks, the operator's rights against what it used, and secrets where none may be."""
