"""Conduct of the trial: what was declared, and what the declared answers say together."""
