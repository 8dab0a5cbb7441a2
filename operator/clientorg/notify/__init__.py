"""Mails and webhooks: rendered from the outbox's entries, sent, and their failures classified (issue 4)."""
