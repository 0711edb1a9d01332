"""Contrasts of a session's states."""
