"""Cases of images whose qform and sform put them in two places."""

import nibabel
import numpy as np
import other_programs
import skeleton
from wrong_input import RUN, T1W, Case

from cases import derivatives, imported_cbf, imported_contrasts

APART = 12.0  # mm
WORDS = "qform, sform.*two places, 12 mm apart"


def _moved(path, apart=APART, form="qform"):
    """Write an image anew, with one of its forms so many millimetres along y from the other one."""
    image = nibabel.load(path)
    data, affine = np.asarray(image.dataobj), image.affine
    other = affine.copy()
    other[1, 3] += apart
    image = nibabel.Nifti1Image(data, affine, image.header)
    image.set_qform(other if form == "qform" else affine, code=1)
    image.set_sform(affine if form == "qform" else other, code=4)
    nibabel.save(image, path)


def _of_template(kind, apart=APART):
    def change(trial):
        files = {name: skeleton.image(trial.path(f"own/{name}.nii.gz"), (40, 40, 40)) for name in ("t1w", "gm", "wm")}
        _moved(files[kind], apart)
        # Their grid begins at 0, 0, 0.
        trial.config["rois"] = {"vmpfc": {"sphere": [80, 80, 80], "radius": 12}}
        trial.config["template"] = {"space": "Own", **{name: str(path) for name, path in files.items()}}

    return change


def _on_template(name):
    """An image on the grid of the template, of one value within a box."""
    shape, affine = other_programs.grid(voxel=4.0)
    data = np.zeros(shape, dtype=np.int16)
    data[18:24, 25:32, 18:24] = 1

    def write(trial):
        other_programs.save(trial.path(name), data, affine, np.int16)
        _moved(trial.path(name))
        return str(trial.path(name))

    return write


def _region(trial):
    trial.config["rois"] = {"vmpfc": {"image": _on_template("own/region.nii.gz")(trial)}}


def _atlas(trial):
    image = _on_template("own/atlas.nii.gz")(trial)
    trial.path("own/atlas.txt").write_text("1 Middle\n")
    trial.config["atlas"] = {"image": image, "labels": str(trial.path("own/atlas.txt"))}


def _cases():
    def case(name, change, outcome="refused", words=WORDS):
        return Case(
            f"qform and sform 12 mm apart: {name}", "image", change, outcome, words if outcome == "refused" else ""
        )

    cbf, mask = (f"{imported_cbf.MAP}_{end}.nii.gz" for end in ("cbf", "desc-brain_mask"))
    scan = imported_cbf.MAP.removesuffix(f"_space-{imported_cbf.OURS}")
    yield case("a CBF map of another program", imported_cbf.maps(lambda t: _moved(t.path(cbf))))
    yield case("the mask of a CBF map", imported_cbf.maps(lambda t: _moved(t.path(mask))))
    yield case(
        "a CBF map on the scan's own grid",
        imported_cbf.maps(lambda t: _moved(t.path(f"{scan}_cbf.nii.gz")), grid="scan"),
    )
    yield case("a contrast map", imported_contrasts.maps(lambda t: _moved(t.path(imported_contrasts.ONE))))
    anatomy = f"{derivatives.ANAT}/sub-02_desc-brain_mask.nii.gz"
    yield case("an anatomy of fMRIPrep", derivatives.anatomy(lambda t: _moved(t.path(anatomy))))
    for kind in ("t1w", "gm"):
        yield case(f"a template's {kind}", _of_template(kind), words=f"template.{kind}.*{WORDS}")
    yield case("an atlas", _atlas)
    yield case("a region's image", _region, words="rois.vmpfc.image.*two places, 12 mm apart")
    # By content, a raw image is registered, whichever of them is right.
    yield case("a raw T1w", lambda t: _moved(t.path(T1W)), "accepted")
    yield case("a raw series", lambda t: _moved(t.path(f"{RUN}_asl.nii.gz")), "accepted")
    yield Case("qform and sform 0.05 mm apart: a template", "image", _of_template("gm", 0.05), "accepted", "")


CASES = list(_cases())
