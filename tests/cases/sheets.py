"""Cases of the tables: aslcontext, participants, craving."""

from wrong_input import RUN, Case

CONTEXT = f"{RUN}_aslcontext.tsv"
PEOPLE = "participants.tsv"
CRAVING = "phenotype/craving.tsv"


def _sub(name, pattern, replacement, count=1):
    return lambda trial: trial.sub(name, pattern, replacement, count)


def _bytes(name, change):
    def write(trial):
        path = trial.path(name)
        path.write_bytes(change(path.read_text()))

    return write


def _context():
    def case(name, change, words, outcome="refused", **more):
        return Case(f"aslcontext: {name}", "aslcontext", change, outcome, words, **more)

    yield case("missing", lambda t: t.path(CONTEXT).unlink(), "aslcontext.tsv.*no such file")
    yield case("empty", _bytes(CONTEXT, lambda text: b""), "aslcontext.tsv")
    yield case("no header", _sub(CONTEXT, r"volume_type\n", ""), "volume_type")
    yield case("header in capitals", _sub(CONTEXT, "volume_type", "Volume_Type"), "volume_type")
    yield case("a word in capitals", _sub(CONTEXT, "control", "Control", 0), "control")
    yield case("a word outside BIDS", _sub(CONTEXT, "label", "tag", 0), "tag")
    yield case("one row too few", _sub(CONTEXT, r"label\n\Z", ""), "6 rows")
    yield case("one row too many", _sub(CONTEXT, r"\Z", "control\n"), "8 rows")
    yield case("controls alone", _sub(CONTEXT, "label", "control", 0), "control and label")
    yield case("M0 declared Included, no m0scan row", _sub(CONTEXT, "m0scan", "control"), "m0scan")
    yield case("column volume_type twice", _sub(CONTEXT, r"^(.+)$", r"\1\t\1", 0), "volume_type .2 times")
    yield case("blank lines at the end", _sub(CONTEXT, r"\Z", "\n\n"), "", "accepted")
    for encoding in ("utf-8-sig", "utf-16"):
        yield case(f"in {encoding}", _bytes(CONTEXT, lambda t, e=encoding: t.encode(e)), "", "accepted")
    yield case("Windows line ends", _bytes(CONTEXT, lambda t: t.replace("\n", "\r\n").encode()), "", "accepted")
    yield case("old Macintosh line ends", _bytes(CONTEXT, lambda t: t.replace("\n", "\r").encode()), "", "accepted")
    yield case("a dummy volume n/a", _sub(CONTEXT, r"label\n\Z", "n/a\n"), "", "accepted")


def _both_tables():
    for name, column, cell in ((PEOPLE, "arm", "baclofen"), (CRAVING, "craving_pre", "21")):
        table = name.rsplit("/", 1)[-1]

        def case(kind, change, words, outcome="refused", errors=1, table=table):
            return Case(f"{table}: {kind}", table, change, outcome, words, errors)

        yield case("missing", lambda t, n=name: t.path(n).unlink(), rf"{table}")
        yield case("empty", _bytes(name, lambda text: b""), rf"{table}")
        yield case("a column missing", _sub(name, rf"\b{column}\b", "other"), rf"{column}")
        yield case("a column in capitals", _sub(name, rf"\b{column}\b", column.upper()), rf"{column}")
        yield case("a column twice", _sub(name, r"^(participant_id.*)$", rf"\1\t{column}"), rf"{column} .2 times")
        yield case(
            "a column twice, all cells there",
            lambda t, n=name, c=column: (t.sub(n, r"$(?<!\n)", "\tx"), t.sub(n, r"\A(.*)\tx", rf"\1\t{c}", 1)),
            rf"{column} .2 times",
        )
        yield case("a cell too many", _sub(name, rf"\t{cell}\t", f"\t\t{cell}\t"), "line .*cells")
        yield case("a cell too few", _sub(name, r"\t[^\t\n]+\n\Z", "\n"), "line .*cells")
        yield case("empty cells at the ends", _sub(name, r"$(?<!\n)", "\t", 0), "", "accepted")
        yield case("separated by commas", _bytes(name, lambda t: t.replace("\t", ",").encode()), "tab")
        yield case("separated by semicolons", _bytes(name, lambda t: t.replace("\t", ";").encode()), "tab")
        yield case("Latin-1", _bytes(name, lambda t: t.replace("sub-02", "sub-0ä").encode("latin-1")), "UTF-8")
        for encoding in ("utf-8-sig", "utf-16"):
            yield case(f"in {encoding}", _bytes(name, lambda t, e=encoding: t.encode(e)), "", "accepted")
        yield case("Windows line ends", _bytes(name, lambda t: t.replace("\n", "\r\n").encode()), "", "accepted")
        yield case("a blank line within", _sub(name, r"^sub-03", "\nsub-03"), "", "accepted")
        yield case(
            "a person (and session) twice",
            lambda t, n=name: t.sub(n, r"^(sub-02.*\n)", r"\1\1", 1),
            "02.*(again|once|copy)",
        )
        yield case("labels without sub-", _sub(name, r"^sub-", "", 0), "", "accepted")
        yield case("blanks around the cells", _sub(name, rf"\t{cell}\t", f"\t {cell} \t"), "", "accepted")


def _people():
    def case(name, change, words, outcome="refused", errors=1):
        return Case(f"participants.tsv: {name}", PEOPLE, change, outcome, words, errors)

    yield case("an arm misspelt", _sub(PEOPLE, "baclofen", "baclofenn"), "baclofenn")
    yield case("an arm in capitals", _sub(PEOPLE, "placebo", "Placebo"), "Placebo")
    yield case("a scanned person without a row", _sub(PEOPLE, r"^sub-02.*\n", ""), "sub-02")
    yield case("a person without a folder", _sub(PEOPLE, r"\Z", "sub-99\tplacebo\t40\tM\n"), "no folder", "listed")
    yield case("an age with a decimal comma", _sub(PEOPLE, "\t31\t", "\t31,5\t"), "31,5")
    yield case("all ages with decimal commas", _sub(PEOPLE, r"\t(3\d)\t", r"\t\1,5\t", 0), r"3\d,5")
    yield case("an age NA", _sub(PEOPLE, "\t31\t", "\tNA\t"), "NA")
    yield case("an age 89+", _sub(PEOPLE, "\t31\t", "\t89+\t"), r"89\+")
    yield case("an age NaN", _sub(PEOPLE, "\t31\t", "\tNaN\t"), "NaN")
    yield case("all ages alike", _sub(PEOPLE, r"\t3\d\t", "\t30\t", 0), "age")
    for value, name in (("NA", "NA"), ("N/A", "N/A"), ("nan", "nan")):
        yield case(f"sex {name}", _with_sex(_sub(PEOPLE, r"\tM$", f"\t{value}")), value)
    yield case("sex in both cases", _with_sex(_sub(PEOPLE, r"\tM$", "\tm")), r"\bm\b")


def _with_sex(change):
    def both(trial):
        trial.config["analyses"]["rest_change"]["covariates"] = ["sex"]
        change(trial)

    return both


def _craving():
    def case(name, change, words, outcome="refused", errors=1):
        return Case(f"craving.tsv: {name}", CRAVING, change, outcome, words, errors)

    yield case("a rating beyond the scale", _sub(CRAVING, "\t21\t", "\t999\t"), "999")
    yield case("a rating below the scale", _sub(CRAVING, "\t21\t", "\t-9\t"), "-9")
    yield case("a rating inf", _sub(CRAVING, "\t21\t", "\tinf\t"), "inf")
    yield case("a rating NaN", _sub(CRAVING, "\t21\t", "\tNaN\t"), "NaN")
    yield case("a rating with a decimal comma", _sub(CRAVING, "\t21\t", "\t21,5\t"), "21,5")
    yield case("a rating in words", _sub(CRAVING, "\t21\t", "\thigh\t"), "high")
    yield case("a rating n/a", _sub(CRAVING, "\t21\t", "\tn/a\t"), "", "accepted")
    yield case("session_id for session", _sub(CRAVING, "session", "session_id"), "", "accepted")
    yield case("sessions with ses-", _sub(CRAVING, r"\tT", r"\tses-T", 0), "", "accepted")
    yield case("no session as the study has", _sub(CRAVING, r"\tT(\d)", r"\tV\1", 0), "session|T1")
    yield case("another study's people", _sub(CRAVING, r"^sub-", "sub-9", 0), "participant|sub-")


CASES = [*_context(), *_both_tables(), *_people(), *_craving()]
