"""Cases of runs in which conditions alternate in blocks."""

import gzip
import json

import skeleton
from wrong_input import Case

PAIRS, TR = 40, 6.0
# Blocks of 48 s, from the first volume: 10 fit into 81 volumes of 6 s.
LASTS = 48.0
ORDER = [("smoking", "neutral")[k % 2] for k in range(10)]
HEADER = "onset\tduration\ttrial_type\n"


def table(rows=None, header=HEADER):
    """A table of blocks; by default five of each cue, one after the other."""
    rows = [(6 + LASTS * k, LASTS, cue) for k, cue in enumerate(ORDER)] if rows is None else rows
    return header + "".join("\t".join(map(str, row)) + "\n" for row in rows)


def changed(place, **values):
    """The table with other values in one row."""
    rows = [[6 + LASTS * k, LASTS, cue] for k, cue in enumerate(ORDER)]
    for name, value in values.items():
        rows[place][["onset", "duration", "trial_type"].index(name)] = value
    return table(rows)


def lengthen(trial, context=None):
    """Runs long enough for blocks."""
    for image in sorted(trial.root.rglob("*_asl.nii.gz")):
        name = image.name.removesuffix("_asl.nii.gz")
        skeleton.run(image.parent, name, context=context or ["m0scan"] + ["control", "label"] * PAIRS)


def alternate(trial, **blocks):
    """The configuration of two cues that alternate in the runs of the good trial."""
    cues = ("smoking", "neutral")
    trial.config["conditions"] = {cue: {"acquisition": "rest", "block": cue} for cue in cues}
    trial.config["contrasts"] = {"cue": {"smoking": 1, "neutral": -1}}
    trial.config["analyses"]["rest_change"]["contrast"] = "cue"
    trial.config["craving"]["contrast"] = "cue"
    trial.config["blocks"] = {"table": "blocks.tsv", **blocks}


def _table(text, context=None, **blocks):
    """Two cues, and this table for all runs."""

    def change(trial):
        lengthen(trial, context)
        alternate(trial, **blocks)
        trial.path("blocks.tsv").write_text(text)

    return change


def _configured(change_config, text=None):
    def change(trial):
        _table(table() if text is None else text)(trial)
        change_config(trial.config)

    return change


def _beside(text, name="_events.tsv"):
    """A table beside each run."""

    def change(trial):
        lengthen(trial)
        alternate(trial, table=None)
        for path in trial.root.rglob("*_asl.nii.gz"):
            if text is not None:
                path.with_name(path.name.replace("_asl.nii.gz", name)).write_text(text)

    return change


def _recorded(columns=("smoking", "neutral"), **fields):
    """A recording of the stimuli beside each run, a value a second."""

    def change(trial):
        lengthen(trial)
        alternate(trial, table=None)
        values = []
        for second in range(486):
            cue = ORDER[int((second - 6) // LASTS)] if second >= 6 else None
            values.append("\t".join(str(int(cue == name)) for name in ("smoking", "neutral")))
        content = {"SamplingFrequency": 1.0, "StartTime": 0, "Columns": list(columns), **fields}
        for path in trial.root.rglob("*_asl.nii.gz"):
            stem = path.name.replace("_asl.nii.gz", "_stim")
            path.with_name(f"{stem}.tsv.gz").write_bytes(gzip.compress("\n".join(values).encode(), mtime=0))
            path.with_name(f"{stem}.json").write_text(json.dumps(content))

    return change


def _rewritten(change, **fields):
    """The recording of the stimuli, with its text changed."""

    def changed(trial):
        _recorded(**fields)(trial)
        for path in trial.root.rglob("*_stim.tsv.gz"):
            path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()).decode()).encode(), mtime=0))

    return changed


def _renamed(trial):
    """Tables of events with an entity that their runs have not."""
    _beside(table())(trial)
    for path in list(trial.root.rglob("*_events.tsv")):
        path.rename(path.with_name(path.name.replace("_acq-rest", "_task-cue_acq-rest")))


def _both(*changes):
    def change(trial):
        for part in changes:
            part(trial)

    return change


def as_planted(study):
    """Whether every run has the ten blocks in their order, and its volumes' times."""
    return all(
        [(block.condition, block.onset, block.duration) for block in scan.blocks.blocks]
        == [(cue, 6 + LASTS * k, LASTS) for k, cue in enumerate(ORDER)]
        and scan.blocks.readouts[:2] == (None, TR + 1.8 + 1.8)
        and scan.condition == "smoking and neutral"
        for scan in study.scans.values()
    )


def _of_people(subject_rows):
    """The table with a column of participants."""
    head = "participant_id\t" + HEADER
    rows = [(subject, *row) for subject, own in subject_rows.items() for row in own]
    return table(rows, head)


def _set(name, value):
    def change(config):
        config["conditions"][name] = value

    return change


def _case(name, change, words="", outcome="refused", **more):
    return Case(f"blocks: {name}", "blocks within a run", change, outcome, words, **more)


_EVERY = [(6 + LASTS * k, LASTS, cue) for k, cue in enumerate(ORDER)]
_LONG = [(6, 240, "smoking"), (246, 234, "neutral")]
_SLOW = [(6 + 78 * k, 78, ("smoking", "neutral")[k // 3]) for k in range(6)]

CASES = [
    _case("one table for all runs", _table(table()), "", "accepted", holds=as_planted),
    _case("events beside each run", _beside(table()), "", "accepted", holds=as_planted),
    _case(
        "events with rows of no type",
        _beside(table([*_EVERY, (100, 0, "n/a")])),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case("a recording of the stimuli", _recorded(), "", "accepted", holds=as_planted),
    _case("a recording without its rate", _recorded(SamplingFrequency=None), "SamplingFrequency", errors=12),
    _case(
        "a recording of a negative rate", _recorded(SamplingFrequency=-1.0), "SamplingFrequency: found -1.0", errors=12
    ),
    _case(
        "a recording whose rate is true", _recorded(SamplingFrequency=True), "SamplingFrequency: found True", errors=12
    ),
    _case(
        "a recording with cells of no value",
        _rewritten(lambda text: text.replace("0\t0", "n/a\tn/a")),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case(
        "a recording with a word in it",
        _rewritten(lambda text: text.replace("1\t0", "on\t0", 1)),
        "line 7: found 'on', expected a number",
        errors=12,
    ),
    _case(
        "a recording with decimal commas", _rewritten(lambda text: text.replace("1", "1,0")), "found '1,0'", errors=12
    ),
    _case(
        "a recording with a header",
        _rewritten(lambda text: "smoking\tneutral\n" + text),
        "line 1: found 'smoking'.*Remove the header",
        errors=12,
    ),
    _case(
        "a recording that ends halfway",
        _rewritten(lambda text: "\n".join(text.split("\n")[:300])),
        "rows: found 'a recording from 0 to 300 s', expected one of the whole run, from 6 to 486 s",
        errors=12,
    ),
    _case(
        "a recording with a column too few",
        _rewritten(lambda text: text.replace("\t0", "").replace("\t1", "")),
        "line 1: found '1 cell', expected 2",
        errors=12,
    ),
    _case("an empty recording", _rewritten(lambda text: ""), "rows: found 'a recording from 0 to 0 s'", errors=12),
    _case("a recording in milliseconds", _recorded(SamplingFrequency=1000.0), "from 0 to 0.486 s", errors=12),
    _case(
        "events of another name than their run",
        _renamed,
        "Rename sub-01_ses-T1_task-cue_acq-rest_events.tsv: a table has the name of its run",
        errors=12,
    ),
    *(
        _case(
            f"a column {name}",
            _table(table([(label, *row) for label in labels for row in _EVERY], f"{name}\t{HEADER}")),
            f"header: found '{name}', expected {meant}",
        )
        for name, meant, labels in (
            ("subject", "participant_id", ("sub-01", "sub-02")),
            ("Participant_ID", "participant_id", ("sub-01", "sub-02")),
            ("session", "session_id", ("T1", "T2")),
        )
    ),
    _case(
        "labels that a spreadsheet took for numbers",
        _table(_of_people(dict.fromkeys(range(1, 7), _EVERY))),
        "It has 1 for 01: write the zeros in front",
        errors=12,
    ),
    _case("no header", _table(table(header="")), "The first line is a block: add the line"),
    _case("a number with an underline", _table(changed(1, onset="5_4")), "onset.*found '5_4'.*number of seconds"),
    _case("events of 2 s", _table(changed(2, duration=2)), "duration.*line 4.*2 s.*6 s or more, the time of a volume"),
    _case(
        "onsets alone in milliseconds",
        _table(table([(1000 * a, b, cue) for a, b, cue in _EVERY])),
        "looks like milliseconds",
    ),
    _case("a recording of other stimuli", _recorded(columns=("smoke", "neutral")), "column smoking", errors=12),
    _case(
        "a clock that began before the first volume",
        _table(table([(onset + 100, *rest) for onset, *rest in _EVERY]), start=100),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case(
        "a table by participant",
        _table(_of_people({f"sub-{number:02d}": _EVERY for number in range(1, 7)})),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case(
        "a participant without blocks",
        _table(_of_people({f"sub-{number:02d}": _EVERY for number in range(1, 6)})),
        "no row of sub-06",
        errors=2,
    ),
    _case(
        "events that no condition asks for",
        lambda trial: trial.path("sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_events.tsv").write_text(table()),
        "sub-01_ses-T1_acq-rest_events.tsv is not read: no condition has a block",
        "listed",
    ),
    _case(
        "events beside a table for all runs",
        _both(
            _table(table()),
            lambda trial: trial.path("sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_events.tsv").write_text("of others"),
        ),
        "events.tsv is not read: blocks.table is",
        "listed",
        holds=as_planted,
    ),
    _case("no table at all", _beside(None), "events.tsv.*no such file", errors=12),
    _case("a table that is not there", _configured(lambda config: config["blocks"].update(table="b.tsv")), "b.tsv"),
    _case("a column misspelt", _table(table(header=HEADER.replace("onset", "onsets"))), "onsets.*Did you mean"),
    _case("onsets as text", _table(changed(2, onset="late")), "onset.*line 4.*number of seconds"),
    _case("a row of no type", _table(changed(2, trial_type="n/a")), "trial_type.*line 4"),
    _case("a cue that is no condition", _table(changed(2, trial_type="smoke")), "smoke.*one of smoking, neutral"),
    _case(
        "fixation that counts as the baseline",
        _table(changed(2, trial_type="fixation"), ignore=["fixation"]),
        "",
        "accepted",
        holds=lambda study: all(len(scan.blocks.blocks) == 9 for scan in study.scans.values()),
    ),
    _case("milliseconds", _table(table([(1000 * a, 1000 * b, cue) for a, b, cue in _EVERY])), "milliseconds"),
    _case(
        "a clock that began with the first control",
        _table(table([(onset - 6, *rest) for onset, *rest in _EVERY])),
        "0 s, before the run's first control or label at 6 s.*blocks.start: -6; .*blocks.start: 0",
    ),
    _case(
        "a clock that began with the first control, as the configuration says",
        _table(table([(onset - 6, *rest) for onset, *rest in _EVERY]), start=-6),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case(
        "a block during M0, as the configuration says",
        _table(changed(0, onset=0, duration=54), start=0),
        "",
        "accepted",
        holds=lambda study: all(scan.blocks.blocks[0].onset == 0 for scan in study.scans.values()),
    ),
    _case(
        "numbers of volumes",
        _table(table([(a / TR, b / TR, cue) for a, b, cue in _EVERY])),
        "81 at the end of the last row, of a series of 486 s, which as many volumes would fill.*Multiply onset and duration by 6 s",
    ),
    _case(
        "numbers of pairs",
        _table(table([(1 + 4 * k, 4, cue) for k, cue in enumerate(ORDER)]), start=0),
        "as many pairs would fill",
    ),
    _case(
        "seconds that end early, and a last row that says so",
        _table(table([*((6 + 8 * k, 8, cue) for k, cue in enumerate(ORDER)), (86, 400, "end")]), ignore=["end"]),
        "",
        "accepted",
        holds=lambda study: all(len(scan.blocks.blocks) == 10 for scan in study.scans.values()),
    ),
    _case("a condition in capitals", _table(table([(a, b, cue.title()) for a, b, cue in _EVERY])), "Neutral, Smoking"),
    _case(
        "conditions with spaces, before and within",
        _both(
            _table(table([(a, b, f" {cue} cues ") for a, b, cue in _EVERY])),
            lambda trial: [
                trial.config["conditions"][cue].update(block=f"{cue} cues") for cue in ("smoking", "neutral")
            ],
        ),
        "",
        "accepted",
        holds=as_planted,
    ),
    _case("a decimal comma", _table(changed(2, onset="102,5")), "onset.*line 4.*102,5.*number of seconds"),
    _case("a duration that is not known", _table(changed(2, duration="n/a")), "duration.*line 4.*number of seconds"),
    _case("a row twice", _table(table([*_EVERY, _EVERY[3]])), "one after the other"),
    _case("conditions in another column", _table(table(header=HEADER.replace("trial_type", "stim_type"))), "stim_type"),
    _case("a duration of 0", _table(changed(2, duration=0)), "duration.*line 4.*more than 0 s"),
    _case("an onset before the series", _table(changed(0, onset=-6)), "onset.*line 2.*0 s or later"),
    _case("blocks past the end", _table(changed(9, duration=80)), "line 11.*518 s.*486 s"),
    _case("blocks that overlap", _table(changed(3, onset=140)), "line 5.*one after the other"),
    _case("one long block of each", _table(table(_LONG)), "1 block.*3 at least", errors=2),
    _case("three blocks of each, one cue after the other", _table(table(_SLOW)), "drift increases its variance"),
    _case(
        "a cue in no contrast",
        _configured(lambda config: config["contrasts"].update(cue={"smoking": 1})),
        "conditions.neutral.*no contrast.*blocks.ignore",
    ),
    _case(
        "cues in other runs",
        _configured(_set("neutral", {"acquisition": "rest", "run": "1", "block": "neutral"})),
        "alternate in the same runs",
    ),
    _case(
        "two conditions of one block",
        _configured(_set("neutral", {"acquisition": "rest", "block": "smoking"})),
        "neutral.block.*another than that of smoking",
    ),
    _case(
        "a block and a state of one run",
        _configured(_set("whole", {"acquisition": "rest"})),
        "smoking and neutral and whole both match",
    ),
    _case(
        "a table and no block",
        lambda trial: trial.config.update(blocks={"table": "blocks.tsv"}),
        "blocks.table.*a condition with a block",
    ),
    _case(
        "differences of the scanner",
        _table(table(), context=["m0scan"] + ["deltam"] * (2 * PAIRS)),
        "controls and labels: its conditions alternate",
        errors=12,
    ),
    _case(
        "several delays",
        _both(_table(table()), lambda trial: trial.sidecar(PostLabelingDelay=[0.0] + [1.5, 1.5, 2.0, 2.0] * 20)),
        "several delays",
    ),
    _case(
        "echoes as volumes of one file",
        _both(
            _table(table()),
            lambda trial: trial.config.update(perfusion={"echo": "first"}),
            lambda trial: trial.sidecar(EchoTime=[0.012] + [0.012, 0.012, 0.03, 0.03] * 20),
        ),
        "EchoTime.*several echoes in one file",
    ),
    _case(
        "no repetition time",
        _both(_table(table()), lambda trial: trial.sidecar(RepetitionTimePreparation=...)),
        "RepetitionTimePreparation",
    ),
]
