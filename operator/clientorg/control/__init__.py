"""Gather facts, decide, apply, patch status once: the reconcilers and what feeds them."""
