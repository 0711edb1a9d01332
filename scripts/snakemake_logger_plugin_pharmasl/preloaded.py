"""What one process imports, whose forks then run the scripts of local jobs. Imported by that process alone."""

import os
import signal

from snakemake_logger_plugin_pharmasl.script_run import ONE_THREAD

# Ctrl-C is for the jobs and for Snakemake.
signal.signal(signal.SIGINT, signal.SIG_IGN)
# Before numpy is imported.
os.environ.update(ONE_THREAD)

import numba  # noqa: E402
import pharmasl.anatomy.normalisation  # noqa: E402
import pharmasl.anatomy.preparation  # noqa: E402
import pharmasl.anatomy.segmentation  # noqa: E402
import pharmasl.contrasts.contrast_maps  # noqa: E402
import pharmasl.perfusion.alignment  # noqa: E402
import pharmasl.perfusion.quantification  # noqa: E402
import pharmasl.quality.assessment  # noqa: E402
import pharmasl.report.scans.scan_page  # noqa: E402
import pharmasl.sensitivity.alternative_maps  # noqa: E402
import pharmasl.workflow.job  # noqa: E402, F401
import snakemake.iocontainers  # noqa: E402
import snakemake.logging  # noqa: E402, F401

# Compiling anything sets up the compiler, which the first kernel of every job would otherwise do.
numba.njit("int64(int64)")(lambda number: number)
