"""The study as a run has read it, kept while the run lasts for those of its jobs that have a Snakemake of their own.

A job on one participant reads that participant's files; one on the whole study would read those of everyone, which takes seconds in a
study of thousands, and would see a file that has changed since the run was planned.
The run holds its results' folder alone, so that there is one reading at a time of a configuration.
"""

import contextlib
import os
import pickle
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pharmasl.records import fingerprints, provenance
from pharmasl.study.reading import Reading

# Beside Snakemake's own files, in the folder that all processes of a run work in.
_FOLDER = ".snakemake/pharmasl"


class KeptReading:
    """The place of a study's reading.

    Parameters
    ----------
    config : Mapping
        The user's configuration. Another one, other code and another Python have other places.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        code = provenance.digest(provenance.SCRIPTS / "pharmasl/workflow/plan.py")
        key = fingerprints.digest([dict(config), code, sys.version, os.path.abspath(os.curdir)])
        self._file = Path(_FOLDER, f"study-{key}.pickle").absolute()

    def save(self, reading: Reading) -> None:
        """Keep a reading without errors; where that fails, jobs read the study anew.

        Parameters
        ----------
        reading : Reading
            Of the whole study.
        """
        if reading.errors or reading.trial_errors:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # For this user alone, as a temporary file is.
            descriptor, new = tempfile.mkstemp(dir=self._file.parent, suffix=".new")
            with open(descriptor, "wb") as file:
                pickle.dump(reading, file, protocol=5)
            os.replace(new, self._file)

    def load(self) -> Reading | None:
        """The reading that is kept; None without one, or where another user has written it."""
        try:
            with open(self._file, "rb") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    return None
                reading: Reading = pickle.load(file)
                return reading
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def remove(self) -> None:
        """When the run ends."""
        with contextlib.suppress(OSError):
            self._file.unlink()
