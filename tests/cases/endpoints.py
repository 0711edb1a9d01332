"""Cases of clinical endpoints: their tables, their scores, their models and their populations."""

from wrong_input import Case

TABLE = "phenotype/smoking.tsv"
# Six participants, two sessions: cigarettes a day, and four items of a questionnaire.
ROWS = [
    f"sub-{number:02d}\t{session}\t{10 + (7 * number + 3 * late) % 11}\t{number % 5}\t{(number + late) % 4}\t{late}\t3"
    for number in range(1, 7)
    for late, session in enumerate(("T1", "T2"))
]
TEXT = "\n".join(["participant_id\tsession_id\tcigarettes\tq1\tq2\tq3\tq4", *ROWS]) + "\n"
GOOD = {"table": TABLE, "score": "cigarettes", "range": [0, 100]}
SUM = {"table": TABLE, "items": ["q1", "q2", "q3", "q4"], "range": [0, 4]}
REPEATED = {"model": "score ~ arm * session + (1 | participant)", "test": "arm:session"}


def _trial(trial, endpoint=None, text=TEXT, **sections):
    trial.path(TABLE).write_text(text)
    trial.config["endpoints"] = {"cigarettes": endpoint or GOOD}
    trial.config.update(sections)


def _table():
    def case(name, old, new, words, outcome="refused", errors=1, endpoint=None):
        assert old in TEXT
        change = lambda trial: _trial(trial, endpoint, TEXT.replace(old, new, 1))  # noqa: E731
        return Case(f"endpoint: {name}", "endpoints", change, outcome, words, errors)

    row = ROWS[2]
    yield case("nothing is wrong", row, row, "", "accepted")
    yield case("its column is absent", "\tcigarettes\t", "\tcigs\t", "column cigarettes")
    yield case("no column of sessions", "session_id", "visit", "session")
    yield case("a participant that the study does not have", "sub-02\tT1", "sub-20\tT1", "20.*unknown to ignore")
    yield case("the same, ignored", "sub-02\tT1", "sub-20\tT1", "", "accepted", endpoint={**GOOD, "unknown": "ignore"})
    yield case("a session that the study does not have", "sub-02\tT1", "sub-02\tT9", "session.*T9")
    yield case("a row twice", row, f"{row}\n{row}", "02, T1 again")
    yield case("words for a number", "T1\t13\t", "T1\tmany\t", "line 4, cigarettes of 02, T1.*many.*a number")
    yield case("a number with its unit", "T1\t13\t", "T1\t13/day\t", "13/day.*without its unit")
    yield case("a decimal comma", "T1\t13\t", "T1\t13,5\t", "13,5.*decimal point")
    yield case("a value out of range", "T1\t13\t", "T1\t130\t", "cigarettes of 02, T1.*130.*from 0 to 100")
    yield case("a score n/a", "T1\t13\t", "T1\tn/a\t", "", "accepted")
    yield case("an item out of range", row, row[:-1] + "7", "q4 of 02, T1.*7.*from 0 to 4", endpoint=SUM)
    wrong = row.replace("\t2\t", "\tfew\t", 1)[:-1] + "9"
    yield case("two faults at once", row, wrong, "q1 of 02.*few.*q4 of 02.*9", errors=2, endpoint=SUM)
    yield case(
        "a score of 0 and its logarithm",
        "T1\t13\t",
        "T1\t0\t",
        "cigarettes of 02, T1.*0.*above 0.*transform",
        endpoint={**GOOD, "transform": "log"},
    )


def _question():
    def case(name, endpoint, words, outcome="refused", errors=1, **sections):
        return Case(f"endpoint: {name}", "endpoints", lambda t: _trial(t, endpoint, **sections), outcome, words, errors)

    yield case("a table that is not there", {**GOOD, "table": "phenotype/none.tsv"}, "endpoints.cigarettes.table")
    yield case("no score and no items", {"table": TABLE}, "score|items")
    yield case("a score and items", {**GOOD, "items": ["q1", "q2"]}, "score|items")
    yield case("an item reversed that is none", {**SUM, "reverse": ["q9"]}, "reverse.*q9.*q1")
    yield case(
        "an item reversed without a range", {"table": TABLE, "items": ["q1", "q2"], "reverse": ["q1"]}, "range.*reverse"
    )
    yield case("prorated from more items than there are", {**SUM, "prorate": {"least": 5}}, "prorate.least.*5")
    yield case("a column prorated", {**GOOD, "prorate": {"least": 1}}, "prorate")
    yield case("a range upside down", {**GOOD, "range": [100, 0]}, "endpoints.cigarettes.range")
    yield case("wide columns of a session that is none", {**GOOD, "score": {"T1": "q1", "T9": "q2"}}, "T9", errors=2)
    yield case("a model that is no formula", {**GOOD, "model": "followup ~ arm +* baseline"}, "model")
    yield case("a model of another outcome", {**GOOD, "model": "craving ~ arm"}, "craving ~.*followup")
    yield case("a model of a column that is absent", {**GOOD, "model": "followup ~ arm + weight"}, "weight.*no such")
    yield case("a model with a map", {**GOOD, "model": "followup ~ arm + roi(vmpfc, rest)"}, "roi.*relations")
    yield case("a model and covariates beside it", {**GOOD, **REPEATED, "covariates": ["age"]}, "covariates beside")
    yield case("scores without a random effect", {**GOOD, "model": "score ~ arm * session"}, "1 . participant")
    yield case("sessions in a model of follow-ups", {**GOOD, "model": "followup ~ arm * session"}, "session.*score ~")
    yield case("a test of no term", {**GOOD, "test": "genotype"}, "test.*genotype.*arm")
    yield case("a test of a level that is none", {**GOOD, "test": {"arm": {"drug": 1, "placebo": -1}}}, "drug")
    yield case("a covariate that is the arm", {**GOOD, "covariates": ["arm2"]}, "arm2")
    yield case("more terms than people", {**GOOD, "model": "followup ~ arm * baseline * age"}, "6 complete rows")
    yield case("a mixed model", {**GOOD, **REPEATED}, "", "accepted")
    yield case("a population that is not there", {**GOOD, "populations": ["per_protocol"]}, "per_protocol.*all")
    yield case(
        "a population by a column without yes and no",
        {**GOOD, "populations": ["older"]},
        "yes or no",
        errors=6,
        populations={"older": {"column": "age"}},
    )
    yield case(
        "a population without one of the arms",
        {**GOOD, "populations": ["few"]},
        "nobody of placebo",
        errors=2,
        populations={"few": {"participants": ["02", "04"]}},
    )
    yield case(
        "a population of someone unknown",
        {**GOOD, "populations": ["few"]},
        "99",
        populations={"few": {"participants": ["01", "02", "99"]}},
    )
    yield case(
        "a relation to a region that is not there",
        {**GOOD, "relations": {"rois": ["insula"], "contrast": "rest"}},
        "insula",
    )


def _binary():
    def case(name, endpoint, words, outcome="refused", text=TEXT, errors=1):
        change = lambda trial: _trial(trial, {"table": TABLE, "score": "q3", "kind": "binary", **endpoint}, text)  # noqa: E731
        return Case(f"endpoint: {name}", "endpoints", change, outcome, words, errors)

    yield case("two values", {}, "", "accepted")
    yield case("a third of two values", {"score": "q4"}, "q4 of 01.*0 or 1.*kind to number", errors=12)
    yield case("two values and their logarithm", {"transform": "log"}, "transform.*kind")
    yield case("two values and a delta", {"missing": {"deltas": [1]}}, "deltas.*kind")
    yield case(
        "a number, and what a missing one counts as", {"kind": "number", "missing": {"counted_as": 0}}, "counted_as"
    )


def _names():
    def case(name, sections, words, errors=1):
        return Case(
            f"endpoint: {name}",
            "endpoints",
            lambda t: (_trial(t), t.config.update(endpoints=sections)),
            "refused",
            words,
            errors,
        )

    yield case("called craving beside craving", {"craving": GOOD}, "endpoints.craving.*section craving")
    yield case("called as an analysis is", {"rest_change": GOOD}, "endpoints.rest_change.*analysis")
    yield case("a name with a dot", {"a.b": GOOD}, "a.b")


CASES = [*_table(), *_question(), *_binary(), *_names()]
