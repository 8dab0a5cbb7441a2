"""The rules: pure functions over values. Nothing here does I/O, reads the clock or knows Kopf."""
