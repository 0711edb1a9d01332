"""Cases of what was measured of participants' blood."""

from wrong_input import Case

PEOPLE = "participants.tsv"
MEASURED = {"t1_blood_measured": {"column": "blood", "unit": "s"}}
BY_SESSION = {"blood_T1": "1.7", "blood_T2": "1.75"}


def _blood(columns, perfusion=None, **of_first):
    """Columns of the participants' table, with one value for all but sub-01."""

    def change(trial):
        path = trial.root / PEOPLE
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        for name, value in columns.items():
            for line in lines:
                first = line[0] == "sub-01" and name in of_first
                line.append(name if line is lines[0] else of_first[name] if first else value)
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        trial.config["perfusion"] = MEASURED if perfusion is None else perfusion

    return change


def _tables_of_sessions(text, people="sub-*"):
    def change(trial):
        for folder in trial.root.glob(people):
            (folder / f"{folder.name}_sessions.tsv").write_text(text)
        trial.config["perfusion"] = MEASURED

    return change


def _cases():
    def case(name, change, words="", outcome="refused", errors=1):
        return Case(f"blood: {name}", PEOPLE, change, outcome, words, errors=errors)

    yield case("a measured T1", _blood({"blood": "1.72"}), outcome="accepted")
    yield case("a measured T1 of each session", _blood(BY_SESSION), outcome="accepted")
    yield case(
        "a measured T1 in the tables of sessions",
        _tables_of_sessions("session_id\tblood\nses-T1\t1.7\nses-T2\t1.75\n"),
        outcome="accepted",
    )
    yield case("a T1 of nobody", _blood({"blood": "n/a"}), outcome="accepted")
    yield case("no such column", _blood({"bloods": "1.72"}), "blood: found 'no such column.*bloods")
    yield case("milliseconds called seconds", _blood({"blood": "1.72"}, blood="1720"), "blood of sub-01.*0.9 to 3 s")
    yield case("a T1 in words", _blood({"blood": "1.72"}, blood="long"), "blood of sub-01: found 'long'")
    yield case(
        "a T1 without its unit",
        _blood({"blood": "1.72"}, {"t1_blood_measured": {"column": "blood"}}),
        "t1_blood_measured.*unit",
    )
    yield case(
        "a T1 in minutes",
        _blood({"blood": "1.72"}, {"t1_blood_measured": {"column": "blood", "unit": "min"}}),
        "t1_blood_measured: found .*'min'.*and its unit",
    )
    yield case(
        "a T1 of one session of a person alone",
        _blood(BY_SESSION, blood_T2="n/a"),
        "blood_T1, blood_T2 of sub-01: found '1.7, n/a', expected a value at every scanned session",
    )
    yield case("a T1 of one session of everyone alone", _blood({"blood_T1": "1.7"}), "and [0-9]+ more.*every scanned")
    yield case(
        "a haematocrit of one session of a person alone",
        _blood({"hct_T1": "0.41", "hct_T2": "0.40"}, {"haematocrit": "hct"}, hct_T1="n/a"),
        "hct_T1, hct_T2 of sub-01: found 'n/a, 0.40'",
    )
    yield case(
        "haemoglobin for haematocrit, by session",
        _blood({"hct_T1": "0.41", "hct_T2": "0.40"}, {"haematocrit": "hct"}, hct_T2="13.9"),
        "hct_T2 of sub-01: found '13.9', expected a haematocrit",
    )
    yield case(
        "a session twice in a table of sessions",
        _tables_of_sessions("session_id\tblood\nses-T1\t1.7\nses-T1\t1.75\n", "sub-01"),
        "ses-T1 twice",
        errors=2,
    )


CASES = [*_cases()]
