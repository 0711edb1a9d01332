"""Put what the workflow found beside what was planted."""

from pharmasl.simulate import comparison
from pharmasl.workflow.job import job

RESULTS = ("effect", "t", "verdict", "clusters", "table", "inference")
PERSON = ("truth_mask", "truth_field", "mask", "field")
RUN = ("truth_motion", "truth_coregistration", "motion", "coregistration")


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    names = ("plan", "scans", "effects", "truth_cbf", "cbf", "model", "correlations", "gm")
    files = {name: getattr(given, name) for name in names}
    for question in ("rest", "association"):
        files[question] = {name: getattr(given, f"{question}_{name}") for name in RESULTS}
    files["people"] = [dict(zip(PERSON, paths)) for paths in zip(*(getattr(given, name) for name in PERSON))]
    runs_each = len(given.motion) // len(given.mask)
    files["runs"] = [
        {**dict(zip(RUN, paths)), "person": number // runs_each}
        for number, paths in enumerate(zip(*(getattr(given, name) for name in RUN)))
    ]
    outputs = {"table": snakemake.output.table, "text": snakemake.output.text}
    comparison.write_comparison(
        files, outputs, params.arms, params.sessions, params.compare, params.smoothing_fwhm, params.alpha
    )


if __name__ == "__main__":
    job(main, snakemake)
