"""Records: results know how they were made, and one run at a time writes them.

Needs the names of common.smk. Gives RESULTS_GUARD: before a plan is made, it puts back what Snakemake does not know of the
results from their manifest; when the run ends, however it does, it writes the manifest. A run holds the folder alone.
"""

from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord

from pharmasl.records import results_guard

RESULTS_GUARD = results_guard.ResultsGuard(workflow, OUTPUT, own_rules, VERSIONS, MetadataRecord, RECORD_FORMAT_VERSION)

if workflow.is_main_process:
    RESULTS_GUARD.watch()
