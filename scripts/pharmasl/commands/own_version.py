"""``./run version``."""

from pharmasl.commands import usage


def main(arguments: list[str]) -> int:
    """Print the versions."""
    print(usage.versions())
    return 0
