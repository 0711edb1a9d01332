"""Cases of the images' headers and files."""

import gzip

import nibabel
import numpy as np
from wrong_input import RUN, T1W, Case, dangling, resolved

ASL = f"{RUN}_asl.nii.gz"
IMAGES = {"series": ASL, "T1w": T1W}
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
ANNEX = "/annex/objects/MD5E-s123--0.nii.gz\n"


def _save(name, data=None, affine=None, edit=None, kind=nibabel.Nifti1Image):
    """Write the image anew, with a header changed by ``edit``."""

    def change(trial):
        path = trial.path(name)
        image = nibabel.load(path)
        old = np.asarray(image.dataobj) if data is None else data(np.asarray(image.dataobj))
        new = kind(old, image.affine if affine is None else affine)
        if edit:
            edit(new)
        content = new.to_bytes()
        path.unlink()
        path.write_bytes(gzip.compress(content, mtime=0))

    return change


def _header(**fields):
    def edit(image):
        for name, value in fields.items():
            image.header[name] = value

    return edit


def _patched(name, offset, content):
    """Put bytes into the header: what nibabel itself would not write."""

    def change(trial):
        path = trial.path(name)
        raw = bytearray(gzip.decompress(path.read_bytes()))
        raw[offset : offset + len(content)] = content
        path.write_bytes(gzip.compress(bytes(raw), mtime=0))

    return change


def _mirror(image):
    affine = image.affine.copy()
    image.set_sform(affine, 1)
    mirrored = affine.copy()
    mirrored[0] *= -1
    image.set_qform(mirrored, 1)


def _units(unit):
    return lambda image: image.header.set_xyzt_units(unit, "sec")


def _content(name, content):
    def change(trial):
        path = trial.path(name)
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)

    return change


SFORM = 280  # byte at which srow_x starts in a NIfTI-1 header


def _each_image():
    nan, rgb = np.float32(np.nan).tobytes(), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    for what, name in IMAGES.items():
        file = name.rsplit("/", 1)[-1]

        def case(kind, change, words="", outcome="refused", what=what, file=file, **more):
            return Case(f"{what}: {kind}", "image", change, outcome, f"{file}.*({words})" if words else file, **more)

        yield case("codes 0", _save(name, edit=lambda i: (i.set_sform(None, 0), i.set_qform(None, 0))), "code")
        yield case("qform and sform are mirror images", _save(name, edit=_mirror), "qform|sform")
        yield case("NaN in the sform", _patched(name, SFORM, nan), "sform|srow|affine")
        yield case("sform of zeros", _patched(name, SFORM, bytes(48)), "sform|srow|affine")
        yield case("singular sform", _patched(name, SFORM, bytes(16)), "sform|srow|affine")
        yield case(
            "in metres", _save(name, affine=np.diag([0.004, 0.004, 0.004, 1]), edit=_units("meter")), "", "accepted"
        )
        yield case(
            "in microns", _save(name, affine=np.diag([4000, 4000, 4000, 1]), edit=_units("micron")), "", "accepted"
        )
        yield case("voxels of 0.004 mm", _save(name, affine=np.diag([0.004, 0.004, 0.004, 1])), "mm|voxel|unit")
        yield case("voxels of 4000 mm", _save(name, affine=np.diag([4000, 4000, 4000, 1])), "mm|voxel|unit")
        yield case("RGB", _save(name, data=lambda d, rgb=rgb: np.zeros(d.shape, rgb)), "RGB|data ?type")
        yield case("complex", _save(name, data=lambda d: d.astype(np.complex64)), "complex")
        yield case("bytes of zero length", _content(name, b""), "empty|0 bytes|image|bytes")
        yield case("a git-annex pointer", _content(name, ANNEX.encode()), "datalad get|git annex")
        yield case("a Git LFS pointer", _content(name, LFS.encode()), "git lfs")
        yield case("a page of HTML", _content(name, b"<html>404</html>"), "image|NIfTI")
        yield case("cut within the header", _content(name, lambda raw: raw[:60]), "image|NIfTI|trunc|end")
        yield case("a dangling link", lambda t, n=name: dangling(t.path(n)), "datalad get|link")
        yield case("little and big endian are one", _save(name, kind=_big_endian), "", "accepted")
        yield case("NIfTI-2", _save(name, kind=nibabel.Nifti2Image), "", "accepted")


def _big_endian(data, affine):
    image = nibabel.Nifti1Image(data, affine)
    return nibabel.Nifti1Image(data, affine, image.header.as_byteswapped(">"))


def _series():
    def case(kind, change, outcome="refused", words="", **more):
        return Case(f"series: {kind}", "image", change, outcome, words, **more)

    yield case(
        "5-D, time last",
        _save(ASL, data=lambda d: d[:, :, :, None, :]),
        "accepted",
        holds=lambda study: len(resolved(study)["volume_types"]) == 7,
    )
    yield case("5-D, two by seven", _save(ASL, data=lambda d: np.stack([d, d], axis=3)), "refused", "dim: found")
    yield case("an uncompressed file cut short", _uncompressed, "refused", "short|trunc|bytes|end")
    yield case("without volumes", _save(ASL, data=lambda d: d[..., 0]), "refused", "7 rows")
    yield Case(
        "T1w: 4-D of two", "image", _save(T1W, data=lambda d: np.stack([d, d], axis=-1)), "refused", "T1w.*dim|4-D|vol"
    )
    yield Case("T1w: 4-D of one", "image", _save(T1W, data=lambda d: d[..., None]), "accepted")
    yield Case("T1w: a single slice", "image", _save(T1W, data=lambda d: d[..., :1]), "refused", "T1w")


def _uncompressed(trial):
    path = trial.path(ASL)
    raw = gzip.decompress(path.read_bytes())
    path.unlink()
    trial.path(f"{RUN}_asl.nii").write_bytes(raw[:-50])


def _links():
    for what, name in {
        "sidecar": f"{RUN}_asl.json",
        "aslcontext": f"{RUN}_aslcontext.tsv",
        "participants": "participants.tsv",
        "craving table": "phenotype/craving.tsv",
    }.items():
        yield Case(
            f"{what}: a dangling link", "link", lambda t, n=name: dangling(t.path(n)), "refused", "link|datalad get"
        )


CASES = [*_each_image(), *_series(), *_links()]
