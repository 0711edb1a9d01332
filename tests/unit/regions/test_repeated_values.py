"""The table of repeatability: whose values are compared, what is left out, and the numbers against a planted truth and direct formulas."""

import numpy as np
import pytest
from pharmasl.contrasts import global_values
from pharmasl.files import tables
from pharmasl.regions import parcel_values, region_values, repeated_values
from pharmasl.regions.repeated_people import RepeatedContrast, RepeatedPeople
from pharmasl.regions.repeated_values import RepeatedFiles

PEOPLE = [f"sub-{number:02d}" for number in range(1, 41)]
SESSIONS = ("T1", "T2")
WITHIN, BETWEEN = 4.0, 8.0
RNG = np.random.default_rng(8)
REST = 50 + RNG.normal(0, BETWEEN, (40, 1)) + RNG.normal(0, WITHIN, (40, 2))
CUE = RNG.normal(1, 3, (40, 2))
CONTRASTS = [
    RepeatedContrast(name="rest", unit="mL/100 g/min", is_cbf=True, is_cbf_absolute=True),
    RepeatedContrast(name="cue", unit="mL/100 g/min", is_cbf=False, is_cbf_absolute=False),
]


def visits(rest=REST):
    for number, name in enumerate(PEOPLE):
        for place, session in enumerate(SESSIONS):
            for contrast, values in (("cue", CUE), ("rest", rest)):
                visit = {"participant_id": name, "session_id": session, "contrast": contrast}
                yield visit, float(values[number, place])


def table(folder, people=PEOPLE, rest=REST, arm="placebo"):
    columns = region_values.VALUE_COLUMNS
    rows = [
        {**visit, "roi": "insula", "arm": "placebo", "cbf": value, "coverage": 1.0} for visit, value in visits(rest)
    ]
    tables.write_table(folder / "insula_values.tsv", rows, columns)
    tables.write_json(folder / "insula_mask.json", {"AnalysisDefined": True})
    rows = [{**visit, "index": 7, "parcel": "Insula_L", "cbf": value + 1} for visit, value in visits(rest)]
    tables.write_table(folder / "parcels.tsv", rows, parcel_values.COLUMNS)
    rows = [{**visit, "brain": value, "grey_matter": value + 10} for visit, value in visits(rest)]
    tables.write_table(folder / "global_values.tsv", rows, global_values.CONTRAST_COLUMNS)
    files = RepeatedFiles(
        global_values=folder / "global_values.tsv",
        region_values=[folder / "insula_values.tsv"],
        sidecars=[folder / "insula_mask.json"],
        parcels=folder / "parcels.tsv",
    )
    who = RepeatedPeople(arm=arm, participants=tuple(people), sessions=SESSIONS)
    repeated_values.write(files, folder / "repeatability.tsv", who, CONTRASTS)
    rows = tables.read_table(folder / "repeatability.tsv")
    return {(row["contrast"], row["kind"], row["name"]): row for row in rows}


def test_every_region_of_every_contrast_has_a_row(tmp_path):
    rows = table(tmp_path)
    places = [("global", "brain"), ("global", "grey_matter"), ("region", "insula"), ("parcel", "Insula_L")]
    assert list(rows) == [(contrast, *place) for contrast in ("rest", "cue") for place in places]
    assert {row["people"] for row in rows.values()} == {"placebo"}
    assert rows["rest", "region", "insula"]["defined_by_same_data"] == "true"
    assert rows["rest", "parcel", "Insula_L"]["index"] == "7"


def test_what_was_planted_lies_in_the_intervals_and_the_estimate_is_that_of_changes(tmp_path):
    row = table(tmp_path)["rest", "region", "insula"]
    numbers = {name: float(row[name]) for name in row if name.startswith(("within", "icc", "bias"))}
    assert numbers["within_sd"] == pytest.approx(np.std(REST[:, 1] - REST[:, 0], ddof=1) / np.sqrt(2), rel=1e-9)
    assert numbers["within_sd_low"] < WITHIN < numbers["within_sd_high"]
    assert numbers["icc_consistency_low"] < BETWEEN**2 / (BETWEEN**2 + WITHIN**2) < numbers["icc_consistency_high"]
    assert numbers["bias"] == pytest.approx(np.mean(REST[:, 1] - REST[:, 0]), rel=1e-9)
    assert numbers["within_cv"] == pytest.approx(100 * WITHIN / 50, rel=0.3)


def test_a_difference_of_conditions_has_no_coefficient_of_variation(tmp_path):
    rows = table(tmp_path)
    assert rows["cue", "region", "insula"]["within_cv"] is None
    assert rows["cue", "region", "insula"]["within_sd"] is not None
    assert rows["cue", "region", "insula"]["note"] is None


def test_those_of_another_arm_do_not_count(tmp_path):
    without = table(tmp_path, people=PEOPLE[:10])["rest", "region", "insula"]
    assert without["n"] == "10"
    change = REST[:10, 1] - REST[:10, 0]
    assert float(without["within_sd"]) == pytest.approx(np.std(change, ddof=1) / np.sqrt(2), rel=1e-9)


def test_a_person_who_lacks_a_session_is_left_out_and_counted(tmp_path):
    rest = REST.copy()
    rest[0, 1] = rest[5, 0] = np.nan
    row = table(tmp_path, people=[*PEOPLE, "sub-99"], rest=rest)["rest", "region", "insula"]
    assert row["n"] == "38"
    assert row["note"] == "3 of 41 people lack a value"
    kept = np.delete(REST, [0, 5], axis=0)
    assert float(row["within_sd"]) == pytest.approx(np.std(kept[:, 1] - kept[:, 0], ddof=1) / np.sqrt(2), rel=1e-9)


def test_of_two_people_nothing_is_computed(tmp_path):
    row = table(tmp_path, people=PEOPLE[:2])["rest", "region", "insula"]
    assert (row["n"], row["within_sd"], row["mean"]) == ("2", None, None)
    assert row["note"] == "not computed of fewer than 3 people"


def test_cbf_that_is_not_above_zero_says_why_it_has_no_coefficient_of_variation(tmp_path):
    rest = REST.copy()
    rest[3, 0] = -2
    row = table(tmp_path, rest=rest)["rest", "region", "insula"]
    assert row["within_cv"] is None
    assert "not above 0" in row["note"]


@pytest.mark.parametrize(("delta", "people"), [(6.0, 40)])
def test_a_drugs_effect_on_half_of_the_people_adds_an_eighth_of_its_square(tmp_path, delta, people):
    """What the docs say of all people taken together: exact for equal arms, up to the degree of freedom of the arms' means."""
    drug = np.arange(people) % 2 == 0
    change = REST[:, 1] - REST[:, 0]
    # Equal mean changes without the drug, so that nothing but delta separates the arms.
    change = change - np.where(drug, change[drug].mean(), change[~drug].mean())
    rest = np.stack([REST[:, 0], REST[:, 0] + change], axis=1)
    treated = rest + np.stack([np.zeros(people), delta * drug], axis=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = float(table(tmp_path / "a", rest=rest, arm=None)["rest", "region", "insula"]["within_sd"])
    both = float(table(tmp_path / "b", rest=treated, arm=None)["rest", "region", "insula"]["within_sd"])
    assert both**2 - plain**2 == pytest.approx(delta**2 / 8 * people / (people - 1), rel=1e-9)
