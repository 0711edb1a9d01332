"""Snakemake as ``./run`` starts it: Ctrl-C while it reads the study is one line, not a traceback."""

import builtins
import os
import sys
from typing import Any

# The status of a program that Ctrl-C ended.
_STOPPED = 130
_USING, _FOR = "Using workflow specific profile ", " for setting default command line arguments."


def main() -> int:
    """Call Snakemake with this process' arguments.

    Returns
    -------
    int
        The status, where Snakemake does not end the process itself.
    """
    sys.argv[0] = "snakemake"
    try:
        import snakemake.cli

        from snakemake_logger_plugin_pharmasl import forked_scripts

        forked_scripts.install()
        # Where its defaults come from is in docs and README; a profile of the user's own is still named.
        snakemake.cli.print = _print  # type: ignore[attr-defined]
        snakemake.cli.main()
    except KeyboardInterrupt:
        from snakemake_logger_plugin_pharmasl.handler import LogHandler

        if not LogHandler.stopped:
            print(f"\nStopped before the first job. To start: {os.environ.get('PHARMASL_COMMAND')}", file=sys.stderr)
        return _STOPPED
    return 0


def _print(*words: Any, **options: Any) -> None:
    """Print what Snakemake's command line prints, except that the project's own profile is used."""
    text = str(words[0]) if words else ""
    own = os.environ.get("PHARMASL_PROFILE")
    if not (own and text.startswith(_USING) and os.path.realpath(_path(text)) == os.path.realpath(own)):
        builtins.print(*words, **options)


def _path(text: str) -> str:
    return text.removeprefix(_USING).removesuffix(_FOR)


if __name__ == "__main__":
    sys.exit(main())
