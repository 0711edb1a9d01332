"""The study's table: everyone randomised, rounded, the same long and wide, and as R and pandas read it."""

import io
import re
import shutil
import subprocess

import numpy as np
import pandas
import pytest
from loading import ROOT
from pharmasl.conduct import flow
from pharmasl.export import spss_syntax, tidy_columns, tidy_table
from pharmasl.export.tidy_columns import Column, Measure
from pharmasl.export.tidy_sources import Names, TidyFiles
from pharmasl.files import blinding, tables
from pharmasl.study.labels import NAMES
from scipy import stats

ANALYSIS, REGION = "rest_interaction", "dlpfc_cluster"
ARMS = {
    "sub-01": "drug",
    "sub-02": "placebo",
    "sub-03": "drug",
    "sub-04": "placebo",
    "sub-05": "drug",
    "sub-06": "placebo",
}
# sub-06 was never scanned; sub-05 has no follow-up scan.
SCANNED = [(who, session) for who in list(ARMS)[:5] for session in ("T1", "T2") if (who, session) != ("sub-05", "T2")]
CBF = {visit: 40.0 + 7.1234567 * k**1.5 % 11 for k, visit in enumerate(SCANNED)}
CBF["sub-01", "T1"] = -0.0004
CRAVING = {"sub-01": (2.3999999999999995, 10.0), "sub-02": (5.0, None), "sub-06": (7.0, 3.5)}
CODED = {"Description": "Sum of three", "Units": "points"}
WHY = 'no scan at T2: "scanner", broken, it\'s said'


def _table(path, rows, described=None):
    columns = dict.fromkeys(name for row in rows for name in row)
    tables.write_table(path, rows, {name: (described or {}).get(name, "words") for name in columns})
    return path


def sources(here):
    """The tables of a small trial."""
    everyone = [
        {"participant_id": who, "arm": arm, "selected": True, "scanned": who != "sub-06"} for who, arm in ARMS.items()
    ]
    people = [
        {
            "participant_id": who,
            "group": arm,
            "arm": arm,
            "age": 20 + k,
            "drug_T1": "a",
            "drug_T2": "b",
            "Note (1)": "x, y",
        }
        for k, (who, arm) in enumerate(ARMS.items())
        if who != "sub-06"
    ]
    visits = [{"participant_id": who, "session_id": session} for who, session in SCANNED]
    unit = {"Description": "CBF", "Units": "mL/100 g/min"}
    regions = [
        {**row, "arm": ARMS[row["participant_id"]], "contrast": "rest", "roi": REGION, "cbf": CBF[tuple(row.values())]}
        for row in visits
    ]
    parcels = [
        {**row, "contrast": "rest", "parcel": name, "cbf": CBF[tuple(row.values())] + add}
        for row in visits
        for name, add in (("Left A", 1), ("Left_A", 2), ("4th-V.", None))
        if add is not None
    ]
    quality = [
        {
            **row,
            "condition": "rest",
            "usable": "no" if k == 2 else "yes",
            "exclusion_reason": "moved" if k == 2 else None,
            "flags": None,
            "fd_mean": 0.1234567 * k,
            "gm_threshold": 0.7,
        }
        for k, row in enumerate([*visits, visits[0]])
    ]
    globe = [{**row, "contrast": "rest", "brain": 30.125 + k, "grey_matter": 41.0 + k} for k, row in enumerate(visits)]
    inside = list(ARMS)[:4]
    lost = [
        {
            "stage": "left out",
            "of": ANALYSIS,
            "session_id": None,
            "arm": None,
            "n": 1,
            "cause": "no session",
            "reason": reason,
            "participants": who,
        }
        for who, reason in (("sub-05", WHY), ("sub-06", "no perfusion run of any condition"))
    ]
    scores = [
        {
            "participant_id": who,
            "arm": ARMS[who],
            "session_id": session,
            **dict.fromkeys(("before", "after", "cue_elicited"), value),
        }
        for who, pair in CRAVING.items()
        for session, value in zip(("T1", "T2"), pair)
    ]
    smoking = [
        {
            "participant_id": who,
            "arm": arm,
            "session_id": session,
            "score": k,
            "score_measured": k,
            "items_answered": None,
            "population_all": True,
            "population_completers": k < 4,
            "age": 20 + k,
        }
        for k, (who, arm) in enumerate(ARMS.items())
        for session in ("T1", "week12")
    ]
    tables.write_json(here / "inference.json", {"status": "run", "excluded": []})
    _table(here / "flow.tsv", lost, flow.COLUMNS)
    named = {"LongName": "Mean framewise displacement", "Description": "d", "Units": "mm"}
    return TidyFiles(
        participants=_table(here / "participants.tsv", people),
        randomised=_table(here / "randomised.tsv", everyone),
        flow=here / "flow.tsv",
        quality=_table(here / "quality.tsv", quality, {"fd_mean": named, "gm_threshold": {**named, "Units": "1"}}),
        global_values=_table(here / "global.tsv", globe, {"brain": unit, "grey_matter": unit}),
        parcels=_table(here / "parcels.tsv", parcels, {"cbf": unit}),
        regions=[_table(here / "values.tsv", regions, {"cbf": unit})],
        designs=[_table(here / "design.tsv", [{"participant_id": who} for who in inside])],
        inferences=[here / "inference.json"],
        craving_scores=_table(here / "craving.tsv", scores),
        endpoint_scores=[_table(here / "smoking.tsv", smoking)],
    )


def names(**changes):
    common = {
        "sessions": ["T1", "T2"],
        "arm_column": "group",
        "conditions": ["rest"],
        "analyses": [ANALYSIS],
        "regions": [REGION],
        "endpoints": ["smoking"],
        "measure": "CBF",
        "labels": NAMES,
    }
    return Names(**{**common, **changes})


def write(here, files=None, **changes):
    own = {"long": "study_long", "wide": "study_wide", "codebook": "codebook"}
    (here / "results/tables").mkdir(parents=True, exist_ok=True)
    paths = {
        f"{key}{end}": here / f"results/tables/{name}.{kind}"
        for key, name in own.items()
        for end, kind in (("", "tsv"), ("_csv", "csv"))
    }
    paths |= {f"{key}_syntax": here / f"results/tables/{own[key]}.sps" for key in ("long", "wide")}
    outputs = tidy_table.TidyOutputs(**paths)
    tidy_table.write(outputs, files or sources(here), names(**changes))
    return outputs


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    here = tmp_path_factory.mktemp("tidy")
    return here, write(here)


def test_everyone_randomised_has_a_row_for_every_session(written):
    rows = tables.read_table(written[1].long)
    sessions = ["T1", "T2", "week12"]
    assert [(row["participant_id"], row["session_id"]) for row in rows] == [(who, s) for who in ARMS for s in sessions]
    assert [row["session_role"] for row in rows[:3]] == ["baseline", "followup", "other"]
    never = rows[-3]
    assert (never["scanned"], never["arm"], never["craving_before"], never["age"]) == ("no", "placebo", "7", "25")
    assert [never[name] for name in ("cbf_rest_dlpfc_cluster", "quality_rest_fd_mean", "scans_rest")] == [None] * 3
    # One of the dataset's columns of its own at each session; the arms' own column is not there twice.
    assert [row["drug"] for row in rows[:3]] == ["a", "b", None]
    assert not {"group", "drug_T1"} & set(rows[0])


def test_who_is_not_used_has_the_reason_of_the_flow(written):
    rows = {row["participant_id"]: row for row in tables.read_table(written[1].wide)}
    assert {who: row[f"used_{ANALYSIS}"] for who, row in rows.items()} == {
        who: "yes" if who < "sub-05" else "no" for who in ARMS
    }
    assert rows["sub-05"][f"why_not_{ANALYSIS}"] == WHY
    assert rows["sub-01"][f"why_not_{ANALYSIS}"] is None
    assert rows["sub-06"]["smoking_population_completers"] == "no"
    assert "smoking_population_all" not in rows["sub-06"]
    # Two scans of a state at a visit: their number, and the mean of their measures.
    assert (rows["sub-01"]["scans_rest_T1"], rows["sub-01"]["quality_rest_fd_mean_T1"]) == ("2", "0.556")
    assert (rows["sub-02"]["scans_usable_rest_T1"], rows["sub-02"]["why_excluded_rest_T1"]) == ("0", "moved")


def test_numbers_are_rounded_as_the_codebook_says_and_scores_stand_as_entered(written):
    rows = tables.read_table(written[1].long)
    cells = {(row["participant_id"], row["session_id"]): row["cbf_rest_dlpfc_cluster"] for row in rows}
    assert {visit: cells[visit] for visit in SCANNED} == {
        visit: f"{abs(round(value, 2)):.2f}" for visit, value in CBF.items()
    }
    assert cells["sub-01", "T1"] == "0.00"
    assert [row["craving_before"] for row in rows[:2]] == ["2.4", "10"]
    assert rows[0]["quality_rest_gm_threshold"] == "0.7"
    codebook = {row["column"]: row for row in tables.read_table(written[1].codebook)}
    assert list(codebook) == list(rows[0])
    cbf = codebook["cbf_rest_dlpfc_cluster"]
    assert (cbf["decimals"], cbf["unit"], cbf["source_column"]) == ("2", "mL/100 g/min", "cbf")
    assert (cbf["wide_columns"], cbf["rows_with_value"]) == ("cbf_rest_dlpfc_cluster_T1 cbf_rest_dlpfc_cluster_T2", "9")
    assert codebook["craving_before"]["decimals"] is None
    assert codebook["arm"]["values"] == "drug | placebo"
    assert codebook["age"]["values"] is None


def test_the_wide_table_holds_the_long_one(written):
    _, outputs = written
    long = {(row["participant_id"], row["session_id"]): row for row in tables.read_table(outputs.long)}
    wide = {row["participant_id"]: row for row in tables.read_table(outputs.wide)}
    compared = 0
    for row in tables.read_table(outputs.codebook):
        for name in (row["wide_columns"] or "").split():
            session = name.removeprefix(f"{row['column']}_") if name != row["column"] else "T1"
            for who, own in wide.items():
                assert own[name] == long[who, session][row["column"]], name
                compared += 1
    assert compared == len(wide) * len(next(iter(wide.values())))


def test_names_are_those_of_any_program_and_occur_once(written):
    rows = tables.read_table(written[1].long)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in rows[0])
    assert len({name.lower() for name in rows[0]}) == len(rows[0])
    assert {"parcel_rest_Left_A", "parcel_rest_Left_A_2", "Note_1"} <= set(rows[0])
    assert tidy_columns.safe_name("4th-V.") == "x_4th_V"
    column = Column(name="Age", words="", source="", source_column="")
    again = tidy_columns.distinct([Measure(column, {}), Measure(column, {})], ["age"])
    assert [measure.column.name for measure in again] == ["Age_2", "Age_3"]


def test_a_blinded_table_says_so(tmp_path):
    with blinding.marking(True):
        outputs = write(tmp_path)
    for path in (outputs.long, outputs.wide):
        assert path.read_text().splitlines()[0].endswith(f"\t{blinding.MARK}")
    assert all(line.endswith(",sham") for line in outputs.long_csv.read_text().splitlines()[1:])


def test_both_forms_hold_the_same(written):
    _, outputs = written
    for tabs, commas in (
        (outputs.long, outputs.long_csv),
        (outputs.wide, outputs.wide_csv),
        (outputs.codebook, outputs.codebook_csv),
    ):
        first, second = pandas.read_csv(tabs, sep="\t"), pandas.read_csv(commas)
        pandas.testing.assert_frame_equal(first, second)
        assert "n/a" not in commas.read_text().replace("; n/a", "")


def _block(language):
    text = (ROOT / "docs/tables.md").read_text()
    return text.split(f"```{language}\n")[1].split("```")[0]


def test_the_lines_for_pandas_run_and_types_are_right(written, monkeypatch, capsys):
    monkeypatch.chdir(written[0])
    names: dict[str, object] = {}
    exec(_block("python"), names)
    assert "placebo" in capsys.readouterr().out
    long = names["long"]
    assert long["cbf_rest_dlpfc_cluster"].dtype == float
    assert long["age"].dtype.kind in "if"
    expected = [value for values in CRAVING.values() for value in values if value is not None]
    assert np.isclose(long["craving_cue_elicited"].sum(), sum(expected))


def test_the_lines_for_r_run_and_agree(written):
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("no Rscript on the PATH")
    here, outputs = written
    more = """
    write.csv(data.frame(estimate = coef(lm(change ~ arm, data = used))), row.names = FALSE)
    cat("--\\n")
    write.csv(data.frame(column = names(long), class = unname(sapply(long, class)), missing = colSums(is.na(long))), row.names = FALSE)
    """
    done = subprocess.run(
        [program, "--vanilla", "-"],
        input=_block("r") + 'cat("--\\n")\n' + more,
        capture_output=True,
        text=True,
        cwd=here,
    )
    assert done.returncode == 0, done.stderr
    _, estimates, classes = done.stdout.split("--\n")
    change = {who: round(CBF[who, "T2"], 2) - round(CBF[who, "T1"], 2) for who in list(ARMS)[:4]}
    mean = {arm: np.mean([change[who] for who in change if ARMS[who] == arm]) for arm in ("drug", "placebo")}
    fitted = pandas.read_csv(io.StringIO(estimates))["estimate"]
    assert np.allclose(fitted, [mean["placebo"], mean["drug"] - mean["placebo"]])
    classes = pandas.read_csv(io.StringIO(classes)).set_index("column")
    codebook = {row["column"]: row for row in tables.read_table(outputs.codebook)}
    rows = len(ARMS) * 3
    assert {name: rows - own["missing"] for name, own in classes.iterrows()} == {
        name: int(row["rows_with_value"]) for name, row in codebook.items()
    }
    numeric = {name for name, row in codebook.items() if row["unit"] or row["decimals"]}
    assert set(classes.loc[sorted(numeric), "class"]) <= {"numeric", "integer"}


def test_the_lines_for_spss_run_and_agree(written):
    """As PSPP runs them: every value of both tables is what pandas reads, and F of the doc's lines is that of scipy."""
    program = shutil.which("pspp")
    if program is None:
        pytest.skip("no pspp on the PATH")
    here, outputs = written
    save = "SAVE TRANSLATE /OUTFILE='{}' /TYPE=CSV /FIELDNAMES /CELLS=VALUES /REPLACE.\n".format
    wide, long = _block("text").split("INSERT FILE='study_long.sps'.")
    insert = "INSERT FILE='study_wide.sps'."
    lines = wide.replace(insert, f"{insert}\n{save(here / 'wide_again.csv')}")
    lines += save(here / "used.csv") + "INSERT FILE='study_long.sps'.\n" + save(here / "long_again.csv") + long
    (here / "lines.sps").write_text(lines, encoding="utf-8")
    done = subprocess.run([program, "-O", "format=csv", "lines.sps"], capture_output=True, text=True, cwd=here)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "error:" not in done.stdout
    assert "warning:" not in done.stdout
    for again, path in (("wide_again.csv", outputs.wide_csv), ("long_again.csv", outputs.long_csv)):
        read, expected = pandas.read_csv(here / again, na_values=[" "]), pandas.read_csv(path)
        pandas.testing.assert_frame_equal(read, expected, check_dtype=False, rtol=1e-12)
    used = pandas.read_csv(here / "used.csv")
    arms = [own["change"].to_numpy() for _, own in used.groupby("arm")]
    assert sorted(map(len, arms)) == [2, 2]
    between = next(line for line in done.stdout.splitlines() if "Between Groups" in line)
    assert float(between.split(",")[-2]) == pytest.approx(stats.f_oneway(*arms).statistic, abs=0.005)


def test_syntax_for_spss_of_awkward_columns():
    long = "parcel_rest_" + "a" * 60
    rows = [{"id": "01", "score": "1.25", long: "-3", f"{long}b": None, "note": 'it\'s, "so" \u00e9', "p": "1e-05"}]
    text = spss_syntax.syntax("a.csv", rows, dict.fromkeys(rows[0], "The column's words") | {"score": CODED})
    for line in (
        "  id A2",
        "  score F5.2",
        f"  {long[:64]} F3.0",
        f"  {long[:62]}_2 F2.0",
        "  note A13",
        "  p F6.0.",
        "  score 'Sum of three (points)'",
        "  id 'The column''s words'",
    ):
        assert line in text.splitlines(), line


def test_syntax_for_spss_of_a_blinded_table_says_so():
    with blinding.marking(True):
        text = spss_syntax.syntax("a.csv", [{"a": 1}], {"a": "words"})
    assert text.startswith("* BLINDED: ")
    assert "  BLINDED A4." in text.splitlines()


@pytest.mark.parametrize(
    ("measure", "unit", "name"),
    [
        ("CBF", "mL/100 g/min of a mean of 50", "cbf_rest_dlpfc_cluster"),
        ("BOLD response", "percent signal change", "bold_response_rest_dlpfc_cluster"),
        ("signal", "a.u.", "signal_rest_dlpfc_cluster"),
    ],
)
def test_values_of_another_unit_say_so_and_keep_their_digits(tmp_path, measure, unit, name):
    """Relative CBF, and contrast maps of other programs, whose numbers may be of any size."""
    files = sources(tmp_path)
    small = {visit: 1e-5 * value for visit, value in CBF.items()}
    rows = [
        {**row, "cbf": small[row["participant_id"], row["session_id"]] if measure == "signal" else row["cbf"]}
        for row in tables.read_table(files.regions[0])
    ]
    described = {"Description": "d", "Units": "mL/100 g/min", "UnitsByContrast": {"rest": unit}}
    for path, content in ((files.regions[0], rows), (files.parcels, tables.read_table(files.parcels))):
        _table(path, content, {"cbf": described})
    outputs = write(tmp_path, files, measure=measure)
    codebook = {row["column"]: row for row in tables.read_table(outputs.codebook)}
    assert codebook[name]["unit"] == unit
    assert codebook[name]["description"].startswith(f"{measure} of the region")
    assert codebook["parcel_rest_Left_A"]["unit"] == unit
    assert codebook["cbf_rest_brain"]["unit"] == "mL/100 g/min"
    if measure == "signal":
        values = {(row["participant_id"], row["session_id"]): row[name] for row in tables.read_table(outputs.long)}
        spread = np.std(list(small.values()))
        assert all(abs(float(values[visit]) - value) < 0.01 * spread for visit, value in small.items())
