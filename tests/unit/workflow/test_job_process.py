"""What a Snakemake that another one has started reads and runs."""

import pytest
from pharmasl.workflow.job_process import detach, people

SCAN = "align_perfusion:scan=sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest"


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([SCAN], ("01",)),
        (["trial_prepare_anatomy:anat=sub-a1+/anat/sub-a1+"], ("a1+",)),
        (["session_contrast:visit=sub-02/ses-T1/contrasts/sub-02_ses-T1,contrast=rest"], ("02",)),
        (["session_contrast:contrast=rest,visit=sub-02/ses-T1/contrasts/sub-02_ses-T1"], ("02",)),
        (["scan_page:scan_name=sub-03_acq-rest"], ("03",)),
        ([SCAN, SCAN.replace("align", "quantify"), "segment_anatomy:anat=sub-02/anat/sub-02"], ("01", "02")),
        ([SCAN, "study_quality:"], None),
        (["group_statistics:analysis=rest,label=rest"], None),
        (["roi_values:roi=sub-01/"], None),
        (["foreign:sample=sub-01/a"], None),
        (["foreign:scan=sub-01"], None),
        (["strange:scan=sub-01/a,anat=sub-02/b"], None),
        ([], None),
    ],
)
def test_people_of_the_named_jobs(targets, expected):
    before = ["-m", "snakemake", "--config", "x=sub-09/y", "--target-jobs"]
    assert people([*before, *targets, "--allowed-rules", "scan=sub-07/"]) == expected


def test_a_command_without_jobs_or_with_several_lists_is_about_the_whole_study():
    assert people(["snakemake", "-n", "results/sub-01/anat/sub-01_T1w.nii.gz"]) is None
    assert people(["--target-jobs", SCAN, "--target-jobs", SCAN]) is None


def test_no_rule_is_named_as_a_source_any_more():
    class Rule:
        def __init__(self):
            self.dependencies = {"template.nii.gz": "template"}

    rules = [Rule(), Rule()]
    detach(rules)
    assert [rule.dependencies for rule in rules] == [{}, {}]
