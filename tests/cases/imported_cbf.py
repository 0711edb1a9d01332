"""Cases of CBF maps of other programs in place of the workflow's own perfusion."""

import json
import shutil

import nibabel
import numpy as np
import other_programs
from wrong_input import Case

OURS, ANTS = "MNI152NLin2009aSym", "MNI152NLin2009cAsym"
FOLDER = "derivatives/aslprep"
MAP = f"{FOLDER}/sub-02/ses-T1/perf/sub-02_ses-T1_acq-rest_space-{OURS}"
RUNS = [{"sub": f"{number:02d}", "ses": session, "acq": "rest"} for number in range(1, 7) for session in ("T1", "T2")]
MAPS = other_programs.of_runs(RUNS)


def maps(change=None, settings=(), version="26.0.3", **source):
    """Maps of ASLPrep, of which something is changed."""

    def prepared(trial):
        other_programs.aslprep(trial.root / FOLDER, MAPS, version=version)
        stated = {"dir": f"bids/{FOLDER}", "space": OURS, **source}
        trial.config.update(dict(settings), derivatives={"cbf": stated})
        if change:
            change(trial)

    return prepared


def _grid(shape, affine, volumes=()):
    return lambda t: other_programs.save(t.path(f"{MAP}_cbf.nii.gz"), np.ones((*shape, *volumes)), affine)


def _turned():
    shape, affine = other_programs.grid()
    return _grid(shape, affine @ nibabel.affines.from_matvec([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]))


def _cases():
    def case(name, change, words="", outcome="refused", errors=1, holds=None):
        return Case(f"CBF maps of ASLPrep: {name}", "derivatives", change, outcome, words, errors, holds)

    def imported(study):
        return len(study.scans) == len(RUNS) and all(scan.imported for scan in study.scans.values())

    yield case("all there", maps(), outcome="accepted", holds=imported)
    yield case("on the scans' own grids", maps(grid="scan"), outcome="accepted", holds=imported)
    # One of each kind of names: a table separated by commas and transforms of the "scanner"; of the "aslref"; a table separated by
    # tabs; with the parts of the quality evaluation index.
    for version in ("0.3.0", "0.4.0", "0.5.1", "0.6.0", "0.7.5", "25.2.1"):

        def measured(study, more=version >= "2"):
            names = {"fd_mean", "qei", *(("structural_similarity", "dispersion_index") if more else ())}
            return imported(study) and all(set(scan.imported.measures) == names for scan in study.scans.values())

        yield case(f"by version {version}", maps(version=version), outcome="accepted", holds=measured)
        yield case(
            f"by version {version}, on the scans' own grids",
            maps(version=version, grid="scan"),
            outcome="accepted",
            holds=lambda study: all(len(scan.imported.transforms) == 2 for scan in study.scans.values()),
        )
    quality = MAP.replace(f"_space-{OURS}", "_desc-qualitycontrol_cbf")
    yield case(
        "with a table of quality of an earlier version beside that of the present one",
        maps(lambda t: t.path(f"{quality}.csv").write_text("FD,cbfQEI\n0.4,0.5\n")),
        "qualitycontrol_cbf.csv.*qualitycontrol_cbf.tsv too",
    )
    yield case(
        "with a table of quality in which no column is known",
        maps(lambda t: t.path(f"{quality}.tsv").write_text("motion\tindex\n0.4\t0.5\n")),
        "columns motion, index, of ASLPrep 26.0.3",
    )
    transform = f"{quality.removesuffix('_desc-qualitycontrol_cbf')}_from-scanner_to-T1w_mode-image_xfm.txt"
    yield case(
        "on the scans' own grids, with a transform of an earlier version beside that of the present one",
        maps(lambda t: t.path(transform).write_text("#Insight Transform File V1.0\n"), grid="scan"),
        "from-aslref_to-T1w.*and.*from-scanner_to-T1w",
    )
    yield case(
        "no raw images",
        maps(lambda t: [shutil.rmtree(path) for path in t.root.glob("sub-*")]),
        outcome="accepted",
        holds=imported,
    )
    one = f"{MAP}_cbf.nii.gz"
    yield case("one missing", maps(lambda t: t.path(one).unlink()), "none of sub-02_ses-T1_acq-rest")
    yield case(
        "one missing, to be excluded",
        maps(lambda t: t.path(one).unlink(), missing="exclude"),
        "ASLPrep 26.0.3 has no CBF map of sub-02_ses-T1_acq-rest",
        outcome="listed",
    )
    yield case("of another template", maps(space=ANTS), f"{ANTS}.*{OURS}, the study's template")
    yield case(
        "on the grid of another template than the name says",
        maps(_grid(*other_programs.grid("MNI152NLin6Asym", 4.0))),
        "and the grid of MNI152NLin6Asym",
    )
    yield case("tilted against the template", maps(_turned()), "axes that are tilted")
    yield case("a series", maps(_grid(*other_programs.grid(), (3,))), "3 volumes.*the mean CBF")
    yield case(
        "of another unit than CBF",
        maps(lambda t: t.path(f"{MAP}_cbf.json").write_text(json.dumps({"Units": "s"}))),
        "Units.*a unit of CBF",
    )
    yield case("without a unit", maps(lambda t: t.path(f"{MAP}_cbf.json").unlink()), "Units.*no sidecar")
    yield case(
        "one without its mask",
        maps(lambda t: t.path(f"{MAP}_desc-brain_mask.nii.gz").unlink()),
        "mask.*none of sub-02_ses-T1_acq-rest",
    )
    yield case(
        "one of another person",
        maps(lambda t: t.path(one).rename(t.path(one.replace("sub-02_", "sub-03_")))),
        "sub-03 in the name",
        errors=2,
    )
    yield case(
        "one copied to another session",
        maps(lambda t: shutil.copy(t.path(one), t.path(one.replace("T1", "T2")))),
        "the same content as",
    )
    yield case("one not fetched", maps(lambda t: t.path(one).write_bytes(b"")), "empty")
    yield case(
        "a rule by a measure that they do not have",
        maps(settings={"quality": {"exclude": ["registration_overlap"]}}),
        "12 of 12 imported CBF maps do not have",
    )
    yield case(
        "with a term that needs an anatomy",
        maps(settings={"analyses": {"own": {"contrast": "rest", "model": "change ~ arm + gm", "test": "arm"}}}),
        "gm.*participant's anatomy",
    )


CASES = list(_cases())
