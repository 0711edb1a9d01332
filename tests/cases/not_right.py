"""The cases that are not answered as they should be yet, with what comes instead; the table counts them."""

REASONS: dict[str, str] = {}
