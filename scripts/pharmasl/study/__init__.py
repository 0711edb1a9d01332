"""The study as data: configuration, sheets, sidecars, and what they say of each scan."""
