"""Snakemake's logger plugin ``pharmasl``: lines of stages in place of lines of jobs (./run names it, and puts it on the path).

Snakemake finds it by the name of its folder. As a program it starts Snakemake.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # Only when Snakemake asks: it takes a while to import, in which a user may press Ctrl-C.
    if name == "LogHandler":
        from snakemake_logger_plugin_pharmasl.handler import LogHandler

        return LogHandler
    raise AttributeError(name)
