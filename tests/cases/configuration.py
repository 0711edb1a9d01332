"""Cases of the configuration and of paths."""

from wrong_input import Case, resolved


def _set(dotted, value):
    """Set a key (dots between levels) of the configuration; ``...`` takes it away."""

    def change(trial):
        *parents, last = dotted.split(".")
        part = trial.config
        for name in parents:
            part = part.setdefault(name, {})
        if value is ...:
            part.pop(last, None)
        else:
            part[last] = value

    return change


def _case(name, key, value, words, outcome="refused", **more):
    return Case(f"configuration: {name}", "configuration", _set(key, value), outcome, words, **more)


def _keys():
    yield _case("a key misspelt", "anatomi", {}, "anatomi.*anatomy")
    yield _case("no conditions", "conditions", ..., "conditions")
    yield _case("a condition that matches nothing", "conditions.rest.acquisition", "sleep", "sleep|rest")
    yield _case("two conditions that match one run", "conditions.again", {"acquisition": "rest"}, "again")
    yield _case("a contrast of no condition", "contrasts.rest", {"sleep": 1}, "sleep")
    yield _case("two contrasts of one label", "contrasts.r_est", {"rest": 1}, "rest and r_est.*underscores")
    yield _case("a contrast whose weights are 0", "contrasts.rest", {"rest": 0}, "contrasts.rest")
    yield _case("a contrast of NaN", "contrasts.rest", {"rest": float("nan")}, "contrasts.rest")
    yield _case(
        "a scaling misspelt", "contrasts.rest", {"weights": {"rest": 1}, "scaling": "proportionl"}, "proportional"
    )
    yield _case(
        "a mean over tissue that is no reference",
        "contrasts.rest",
        {"weights": {"rest": 1}, "scaling": "additive", "reference": "white_matter"},
        "grey_matter",
    )
    yield _case("sites harmonised before the test", "analyses.rest_change.site", "combat", "harmonisation")
    yield _case("words for an analysis that is not there", "labels.analyses", {"rest_chnge": "Rest"}, "rest_change")
    yield _case("the same words for two arms", "labels.arms", {"baclofen": "drug", "placebo": "drug"}, "twice")
    yield _case("an analysis of no contrast", "analyses.rest_change.contrast", "cue", "cue")
    yield _case("an analysis with a covariate misspelt", "analyses.rest_change.covariates", ["agee"], "agee")
    yield _case("the arm as covariate", "analyses.rest_change.covariates", ["arm"], "arm")
    yield _case(
        "a name of 240 letters", "analyses." + "a1" * 120, {"contrast": "rest", "effect": "group_by_time"}, "analyses"
    )
    yield _case(
        "names alike but for their case",
        "analyses.Rest_change",
        {"contrast": "rest", "effect": "group_by_time"},
        "Rest_change|rest_change",
    )
    yield _case("one session twice", "sessions.followup", "T1", "sessions")
    yield _case("a session that nobody has", "sessions.followup", "T3", "T3")
    yield _case("arms exchanged for one", "arms.control", "baclofen", "arms")
    yield _case("an arm that nobody has", "arms.control", "sugar", "sugar|placebo")
    yield _case("a participant that is not there", "participants", ["99"], "99")
    yield _case("a participant with sub-", "participants", ["sub-01"], "", "accepted")
    yield _case("a participant as number", "participants", [1], "quotes|text|string")
    yield _case("a run as number", "conditions.rest.run", 1, "quotes|run|index")
    yield _case("before and after alike", "craving.after", "craving_pre", "craving.after|craving_pre")
    yield _case("a range upside down", "craving.range", [100, 0], "range")
    yield _case("a region of craving that is not there", "craving.rois", ["insula"], "insula")
    yield _case("a craving table that is not there", "craving.table", "phenotype/none.tsv", "none.tsv")
    yield _case("permutations as text", "inference.permutations", "500", "", "accepted")
    yield _case("permutations in words", "inference.permutations", "many", "permutations")
    yield _case("a smoothing below 0", "perfusion.smoothing_fwhm", -6, "smoothing_fwhm")
    yield _case("a smoothing of NaN", "perfusion.smoothing_fwhm", float("nan"), "smoothing_fwhm")
    yield _case("alpha of 5 (percent)", "inference.alpha", 5, "alpha")
    yield _case("a band upside down", "quality.bands", {"fd_mean": [2, 0.5]}, "fd_mean")
    yield _case(
        "a scan excluded that is not there", "quality.exclude_scans", {"sub-01_ses-T1_acq-sleep": "eyes"}, "acq-sleep"
    )


def _rated(text):
    """Name a table of ratings, and write it unless it is to be missing."""

    def change(trial):
        path = trial.path("ratings.tsv")
        if text is not None:
            path.write_text(text)
        trial.config["quality"] = {"ratings": str(path)}

    return change


def _ratings():
    def case(name, text, words, outcome="refused", **more):
        return Case(f"ratings.tsv: {name}", "ratings.tsv", _rated(text), outcome, words, **more)

    head = "scan\trating\treason\trater\n"
    rest, other = "sub-01_ses-T1_acq-rest", "sub-02_ses-T1_acq-rest"
    yield case(
        "a poor and a good scan",
        f"{head}{rest}\tpoor\tghosts\tAB\n{other}\tgood\tn/a\tAB\n",
        "",
        "accepted",
        holds=lambda study: study.poor == {rest: "rated poor: ghosts"},
    )
    yield case("without a rater", f"scan\trating\treason\n{rest}\tpoor\tghosts\n", "", "accepted")
    yield case("missing", None, "ratings.tsv.*no such file")
    yield case("columns of another table", "scan\tquality\n" + f"{rest}\t1\n", "rating, reason.*scan, rating, reason")
    yield case("a scan that is not there", f"{head}sub-01_ses-T1_acq-rset\tpoor\tghosts\tAB\n", f"Did you mean.*{rest}")
    yield case("a scan without a name", f"{head}n/a\tpoor\tghosts\tAB\n", "line 2, scan")
    yield case("a scan rated twice", f"{head}{rest}\tpoor\tghosts\tAB\n{rest}\tgood\tn/a\tCD\n", "line 3, scan.*line 2")
    yield case("a rating that is none", f"{head}{rest}\tbad\tghosts\tAB\n", "line 2, rating.*good or poor")
    yield case("a scan without a rating", f"{head}{rest}\tn/a\tghosts\tAB\n", "line 2, rating")
    yield case("poor for no reason", f"{head}{rest}\tpoor\tn/a\tAB\n", "line 2, reason")
    yield case("separated by commas", f"{head}{rest}\tpoor\tghosts\tAB\n".replace("\t", ","), "tab")


def _override():
    yield _case(
        "an override misspelt", "perfusion.override", {"LabellingDuration": 1.8}, "LabellingDuration.*LabelingDuration"
    )
    yield _case(
        "an override in milliseconds", "perfusion.override", {"PostLabelingDelay": 1800}, "override.*millisecond"
    )
    yield _case("an override NaN", "perfusion.override", {"PostLabelingDelay": float("nan")}, "PostLabelingDelay")
    yield _case(
        "an override",
        "perfusion.override",
        {"PostLabelingDelay": 1.5},
        "",
        "accepted",
        holds=lambda study: resolved(study)["post_labeling_delay"] == 1.5,
    )
    yield _case(
        "an override that takes a field away", "perfusion.override", {"LabelingEfficiency": None}, "", "accepted"
    )


def _formula(name, model, test, words, outcome="refused", **more):
    return _case(
        f"a formula: {name}",
        "analyses.formula",
        {"contrast": "rest", "model": model, "test": test, **more},
        words,
        outcome,
    )


def _formulas():
    scans = "cbf ~ arm * session + (1 | participant)"
    yield _formula("the baseline as covariate", "followup ~ arm + baseline", "arm", "", "accepted")
    yield _formula("scans, with a random intercept", scans, "arm:session", "", "accepted")
    yield _formula("an outcome misspelt", "folowup ~ arm", "arm", "folowup.*followup")
    yield _formula("two tildes", "followup ~ arm ~ age", "arm", "one ~")
    yield _formula("a program in it", "change ~ __import__('os').getcwd()", "arm", "analyses.formula.model")
    yield _formula("an unknown function", "change ~ arm + exp(age)", "arm", "exp.*log")
    yield _formula("a column misspelt", "change ~ arm + agee", "arm", "agee")
    yield _formula("an outcome among its terms", "change ~ arm + change", "arm", "change")
    yield _formula("more terms than people", "change ~ arm * age + I(age ** 2) + arm:sex", "arm", "participants")
    yield _formula("one term twice", "change ~ arm + age + I(2 * age)", "arm", "combination")
    yield _formula("a region that is not there", "change ~ roi(insula, rest) + arm", "arm", "insula.*rois")
    yield _formula("a contrast that is not there", "change ~ cbf(cue) + arm", "arm", "cue.*contrasts")
    yield _formula("scans without a random intercept", "cbf ~ arm * session", "arm:session", r"\(1 \| participant\)")
    yield _formula("a random intercept of changes", "change ~ arm + (1 | participant)", "arm", "participant")
    yield _formula("the session of one row per participant", "change ~ arm + session", "arm", "session")
    yield _formula("the baseline explained by itself", "baseline ~ arm + baseline", "arm", "baseline")
    yield _formula("a test of no term", "change ~ arm", "age", "formula.test")
    yield _formula("a test of what the terms do not hold", "change ~ arm + age", "arm:age", "Add the term")
    yield _formula("weights that do not sum to 0", "change ~ arm", {"baclofen": 1}, "sum to 1")
    yield _formula("weights of a level that is not there", "change ~ arm", {"baclofen": 1, "none": -1}, "levels of one")
    yield _formula("covariates beside it", "change ~ arm", "arm", "covariates.*formula", covariates=["age"])
    yield _formula("another method", "change ~ arm", "arm", "method", method="full_factorial")
    yield _formula(
        "a common baseline of changes", "change ~ arm", "arm", "constrained_baseline", constrained_baseline=True
    )
    yield _case(
        "a formula: without a test", "analyses.formula", {"contrast": "rest", "model": "change ~ arm"}, "model, test"
    )
    yield _case(
        "a formula: beside a named effect",
        "analyses.formula",
        {"contrast": "rest", "effect": "group_by_time", "model": "change ~ arm", "test": "arm"},
        "model, test",
    )


def _regions():
    yield _case("a sphere in the air", "rois.vmpfc", {"sphere": [0, -20, 108], "radius": 6}, "vmpfc")
    yield _case("a sphere off the grid", "rois.vmpfc", {"sphere": [0, 0, 300], "radius": 6}, "vmpfc")
    yield _case("a radius of 0", "rois.vmpfc", {"sphere": [0, 44, -12], "radius": 0}, "radius")
    yield _case("a radius below a voxel", "rois.vmpfc", {"sphere": [1, 45, -11], "radius": 0.1}, "vmpfc")
    yield _case("a label the atlas has not", "rois.vmpfc", {"atlas": ["Insula_Left"]}, "Insula_L")
    yield _case("planes that leave nothing", "rois.vmpfc", {"atlas": ["Insula_L"], "y_above": 200}, "vmpfc")
    yield _case("an image that is not there", "rois.vmpfc", {"image": "none.nii.gz"}, "none.nii.gz")
    yield _case("a cluster of no analysis", "rois.vmpfc", {"analysis": "cue", "cluster": 1}, "cue")


def _paths():
    yield _case("a dataset that is not there", "bids_dir", "none", "none")
    yield _case("a dataset without people", "bids_dir", "bids/phenotype", "sub-")
    yield _case("results in the dataset", "output_dir", "bids", "output_dir")
    yield _case("results in a person's folder", "output_dir", "bids/sub-01", "output_dir")
    yield _case("results in derivatives", "output_dir", "bids/derivatives/pharmasl", "", "accepted")
    yield _case("braces in the results' path", "output_dir", "results_{date}", r"output_dir")
    yield _case("braces in the dataset's path", "bids_dir", "bids{v1}", r"bids_dir")
    yield _case(
        "./ before a path",
        "output_dir",
        "./results",
        "",
        "accepted",
        holds=lambda study: study.config["output_dir"] == "results",
    )
    yield _case(
        "~ in a path",
        "output_dir",
        "~/results",
        "",
        "accepted",
        holds=lambda study: "~" not in study.config["output_dir"],
    )
    yield _case("braces in the title", "title", "{x} $(date)", "title.*braces")
    yield _case("markup and shell in the title", "title", "<b>x</b> $(date)", "", "accepted")


CASES = [*_keys(), *_ratings(), *_override(), *_formulas(), *_regions(), *_paths()]
