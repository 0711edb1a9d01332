"""What a user reads when a study cannot be planned."""

import skeleton


def test_a_trial_that_cannot_be_analysed_ends_the_plan_with_its_message_alone(small):
    config = skeleton.config("bids")
    config["craving"] = {
        "table": "phenotype/craving.tsv",
        "before": "craving_pre",
        "after": "craving_post",
        "range": [0, 30],
    }
    small.configure(config)
    done = small.snakemake("-n", "--quiet", "all", check=False)
    assert done.returncode == 1
    assert "craving_post: found '49'" in done.stderr
    assert "Traceback" not in done.stderr
    assert max(len(line) for line in done.stderr.splitlines()) <= 200
    # Scans alone need no ratings; and nothing is locked.
    assert "quantify_perfusion" in small.snakemake("-n", "--", "cbf").stdout


def test_a_scan_that_the_study_does_not_have_is_named(small):
    target = "results/sub-09/ses-T1/perf/sub-09_ses-T1_acq-rest_cbf.nii.gz"
    done = small.snakemake("-n", "--quiet", "all", "--", target, check=False)
    assert done.returncode == 1
    assert "sub-09/ses-T1/perf/sub-09_ses-T1_acq-rest: asked for, but no scan" in done.stderr
    assert "Traceback" not in done.stderr
