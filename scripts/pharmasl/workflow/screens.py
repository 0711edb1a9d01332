"""How a run's progress is shown: live bars on a terminal, sparse plain lines in a pipe, a file or a batch job's log."""

import importlib.util
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from pharmasl.workflow.progress import Progress, Row, in_words, roughly
from pharmasl.workflow.strays import Strays

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

# Seconds between two plain lines: at first, and as a share of the time gone.
_INTERVAL = 60.0
_INTERVAL_SHARE = 0.03
_REFRESHES = 2
_BAR = 24
# Columns of a terminal below which bars leave no room for words.
_NARROW = 60


class Screen(Protocol):
    """Where a run's progress is shown."""

    def show(self, progress: Progress) -> None:
        """Show how far the run is, if it is time to."""

    def say(self, text: str, style: str = "") -> None:
        """Show a text that stays; ``style`` is one of ``error``, ``warning``, ``quiet`` and none."""

    def hush(self) -> None:
        """Show nothing more of what jobs say themselves, and no progress: a user stops the run."""

    def close(self) -> None:
        """Nothing moves any more."""


def screen_for(stream: TextIO, color: bool, began: float, clock: Callable[[], float] = time.monotonic) -> Screen:
    """Live bars where the stream is a terminal that can show them, else plain lines.

    Parameters
    ----------
    stream : text file
    color : bool
        Whether colours are wanted; where the variable NO_COLOR is set there are none either.
    began : float
        When the run began, by ``clock``.
    clock : callable
        Seconds, as :func:`time.monotonic`.

    Returns
    -------
    Screen
    """
    terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if terminal and importlib.util.find_spec("rich"):
        own = os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="replace")
        return LiveScreen(own, color, began, clock, catch=True)
    return PlainScreen(stream, began, clock)


def sentence(words: str) -> str:
    """A rule's sentence without the folders of the names in it."""
    return re.sub(r"[^\s/]+/\S*/(?=[^\s/])|(?<![/\w])[^\s/]+/(?=sub-)", "", words)


def counted(row: Row) -> str:
    """How many of a stage's units are done, in words."""
    text = f"{row.done} of {row.total} {row.unit}" if not row.ended else f"{row.total} {row.unit}"
    return f"{text}, {row.failed} failed" if row.failed else text


def summary(progress: Progress, began: float, now: float) -> str:
    """Time gone, time left and jobs done, in one line."""
    left = progress.left(now)
    parts = [f"{in_words(now - began)} gone"]
    if left is not None and (left or progress.running):
        parts.append(f"about {roughly(left)} left" if left >= 30 else "less than a minute left")
    return f"{', '.join(parts)} ({progress.done} of {_jobs(progress)})"


def _jobs(progress: Progress) -> str:
    return f"{progress.total} job{'s' if progress.total != 1 else ''}"


class PlainScreen:
    """Lines with the time of day: one for a stage that ends, else one a minute at most."""

    def __init__(self, stream: TextIO, began: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._began, self._clock = stream, began, clock
        self._last = clock()
        self._ended: set[str] | None = None

    def show(self, progress: Progress) -> None:
        """Write a line for each stage that has ended, or, now and then, one for all that are under way."""
        now = self._clock()
        rows = progress.rows(now)
        ended = {row.stage.name for row in rows if row.ended}
        if self._ended is None:
            self._ended = set()
            self._line(f"{_jobs(progress)}: {'; '.join(f'{row.stage.name} ({row.total} {row.unit})' for row in rows)}")
        for row in rows:
            if row.stage.name in ended - self._ended:
                taken = f", {in_words(row.seconds)}" if row.seconds else ""
                self._line(f"{row.stage.name}: done ({counted(row)}{taken})")
        self._ended |= ended
        if now - self._last < max(_INTERVAL, _INTERVAL_SHARE * (now - self._began)):
            return
        active = [row for row in rows if not row.ended and (row.running or row.share > 0)]
        if active:
            states = "; ".join(f"{row.stage.name} {counted(row)}" for row in active)
            self._line(f"{states}; {summary(progress, self._began, now)}")

    def say(self, text: str, style: str = "") -> None:
        """Write a text."""
        print(text, file=self._stream, flush=True)

    def hush(self) -> None:
        """Do nothing: what jobs say goes by this screen."""

    def close(self) -> None:
        """Do nothing: all is written."""

    def _line(self, text: str) -> None:
        self._last = self._clock()
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=self._stream, flush=True)


class LiveScreen:
    """A table with a bar for each stage, drawn again as the run goes on, below what stays.

    Parameters
    ----------
    stream : text file
    color : bool
    began : float
        When the run began, by ``clock``.
    clock : callable
        Seconds.
    catch : bool
        Whether what this process and its jobs write to standard error is caught, so that it does not break the table;
        ``stream`` is a file of its own then.
    """

    def __init__(
        self,
        stream: TextIO,
        color: bool,
        began: float,
        clock: Callable[[], float] = time.monotonic,
        catch: bool = False,
    ) -> None:
        from rich.console import Console

        self._began, self._clock = began, clock
        self._console = Console(file=stream, no_color=None if color else True, highlight=False, emoji=False)
        self._progress: Progress | None = None
        self._live: Live | None = None
        self._catch = catch
        self._strays: Strays | None = None

    def show(self, progress: Progress) -> None:
        """Draw the table from now on, until closed."""
        from rich.live import Live

        self._progress = progress
        if self._live is None:
            self._live = Live(
                get_renderable=self._table,
                console=self._console,
                refresh_per_second=_REFRESHES,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
            if self._catch and self._strays is None:
                self._strays = Strays(self.say)

    def say(self, text: str, style: str = "") -> None:
        """Write a text above the table."""
        from rich.text import Text

        styles = {"error": "red", "warning": "yellow", "quiet": "dim"}
        self._console.print(Text(text, style=styles.get(style, "")), soft_wrap=True)

    def hush(self) -> None:
        """Leave the table as it is, and drop what jobs say."""
        if self._strays is not None:
            self._strays.hush()
        self._stop()

    def close(self) -> None:
        """Leave the table as it is."""
        self._stop()
        if self._strays is not None:
            self._strays.close()
            self._strays = None

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._progress = None

    def _table(self) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if self._progress is None:
            return Text("")
        now = self._clock()
        rows = self._progress.rows(now)
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        wide = self._console.width >= _NARROW
        table.add_column(no_wrap=True)
        if wide:
            table.add_column(width=_BAR)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            table.add_row(*_cells(row, wide))
        return Group(table, Text(summary(self._progress, self._began, now), style="bold", no_wrap=True))


def _cells(row: Row, wide: bool) -> "list[RenderableType]":
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    style = "red" if row.failed else "green" if row.ended else "" if row.running else "dim"
    bar = ProgressBar(total=1, completed=row.share, width=_BAR, finished_style="green")
    if row.running:
        more = f" (and {len(row.running) - 1} more)" if len(row.running) > 1 else ""
        words = f"{row.running[0]}{more}"
    else:
        words = in_words(row.seconds) if row.ended and row.seconds else ""
    cells: list[RenderableType] = [
        Text(row.stage.name, style=style),
        bar,
        Text(counted(row), style=style),
        Text(words, style="dim"),
    ]
    return cells if wide else [cells[0], *cells[2:]]
