"""What is typed after ./run, as Snakemake takes it."""

import pytest
from pharmasl.commands import call
from pharmasl.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text("bids_dir: data\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_target_after_a_configuration_or_a_setting_stays_a_target(folder):
    typed = ["--configfile", "study.yaml", "cbf", "--config", "title=a", "quality", "-n"]
    assert call.prepared(typed) == ["--configfile", "study.yaml", "--config", "title=a", "-n", "--", "cbf", "quality"]
    typed = ["--configfile", "study.yaml", "results/report/index.html", "--cores", "2", "group"]
    assert call.prepared(typed)[-5:] == ["--cores", "2", "group", "--", "results/report/index.html"]


def test_what_snakemake_understands_stays_as_it_is(folder):
    typed = ["-n", "--cores", "4", "--configfile=study.yaml", "--", "cbf"]
    assert call.prepared(typed) == ["-n", "--cores", "4", "--configfile", "study.yaml", "--", "cbf"]
    assert call.settings(["inference={permutations: 100}", "a=b=c"]) == ["inference={permutations: 100}", "a=b=c"]


@pytest.mark.parametrize("written", ["01,sub-02", "[01, 02]", '["01","sub-02"]', "sub-01,02,"])
def test_participants_are_a_list_of_labels_with_their_zeros(written):
    assert call.settings([f"participants={written}"]) == ['participants=["01", "02"]']


def test_a_setting_of_a_section_is_named_with_dots():
    words = ["inference.permutations=100", "inference.tfce.neighbours=6", "title=x"]
    assert call.settings(words) == ["title=x", "inference={permutations: 100, tfce: {neighbours: 6}}"]


@pytest.mark.parametrize(
    ("typed", "content", "message"),
    [
        (
            ["--configfile", "studi.yaml"],
            None,
            r"studi\.yaml: --configfile: found 'no such file'.* Did you mean study\.yaml\?",
        ),
        (["--configfile", "nothing_alike"], None, "Correct the path; ./run init BIDS_DIR"),
        (["--configfile", "broken.yaml"], "a: [1\nb: 2\n", "broken.yaml: line 2, column 2: .*expected YAML"),
        (["--configfile", "broken.yaml"], "a:\n\tb: 1\n", "broken.yaml: line 2, column 1"),
        (["--configfile", "broken.yaml"], "just words\n", "top level.*expected settings"),
        (["chekc"], None, "Did you mean check"),
        (["intit", "data"], None, "Did you mean init"),
    ],
)
def test_mistakes_are_explained_before_snakemake_starts(folder, typed, content, message):
    if content:
        (folder / "broken.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        call.prepared(typed)


def test_other_first_words_are_snakemakes_targets(folder):
    for word in ("cbf", "results", "-n", "report"):
        assert call.prepared([word]) == [word]
