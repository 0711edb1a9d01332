"""What a Snakemake plans for its jobs, as a program: the arguments of Snakemake, after a file for the answer.

The answer is a list of a job's rule, wildcards, inputs, outputs and params.
"""

import json
import sys
from pathlib import Path

import snakemake.api
import snakemake.cli


def main(file, *arguments):
    sys.argv = ["snakemake", *arguments]
    execute = snakemake.api.DAGApi.execute_workflow

    def recorded(dag, *options, **settings):
        execute(dag, *options, **settings)
        jobs = [
            {
                "rule": job.rule.name,
                "wildcards": {name: str(value) for name, value in job.wildcards_dict.items()},
                "input": [str(path) for path in job.input],
                "output": [str(path) for path in job.output],
                "params": {name: repr(value) for name, value in job.params.items()},
            }
            for job in dag.workflow_api._workflow.dag.jobs
        ]
        Path(file).write_text(json.dumps(jobs))

    snakemake.api.DAGApi.execute_workflow = recorded
    snakemake.cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
