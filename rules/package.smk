"""The Python package beside the rules, which every file of rules and every job's script has to import from here.

Python imports a package once, from the first place on its path that has it: another checkout in PYTHONPATH or among the
installed packages, or two versions of this workflow in one Snakefile, would compute with code that is not these rules'.
"""

import importlib.machinery
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCRIPTS = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent / "scripts"
# What a job's script, whose path ends with this folder, would import: a package, or a mere folder of that name (no origin).
ELSEWHERE = importlib.machinery.PathFinder.find_spec("pharmasl", sys.path)
sys.path.insert(0, str(SCRIPTS))

import pharmasl

for path in (pharmasl.__file__, ELSEWHERE and ELSEWHERE.origin):
    if path and Path(path).resolve().parent != (SCRIPTS / "pharmasl").resolve():
        raise WorkflowError(
            f"pharmasl: found the package of {Path(path).parent}, expected that of these rules, {SCRIPTS / 'pharmasl'}. "
            f"Start them by {SCRIPTS.parent / 'run'}, or take the other out of PYTHONPATH or of the installed packages; two "
            "versions of the workflow cannot be modules of one Snakefile."
        )
