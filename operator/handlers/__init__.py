"""Kopf's side of the operator: thin handlers that feed `clientorg.control`."""
