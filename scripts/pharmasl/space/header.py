"""What a NIfTI file says of its image before any voxel is read, or why it cannot be believed.

An answer about the right side of a brain rests on two numbers of a file's header: nothing here is guessed. A header that
leaves left and right open, or tells them twice and differently, is an error; so is one whose numbers no head has, and a
file that holds less (or much more) than its header says. The limits:

- qform and sform, where both are set, must be of one handedness, have their axes within :data:`MOST_TURN` degrees of each
  other, and voxels of the same size (as must ``pixdim``, within :data:`SIZE_TOLERANCE`). Their places and smaller turns
  may differ: a sform may well have been aligned to something. As nibabel, this module then takes the sform. (The forms
  of eleven series and images from scanners of three makers differed by 0.0014 mm at most.)
- Axes may be as far from square to each other as rounding makes them (:data:`MOST_SKEW`, a cosine).
- Voxels are between :data:`LEAST_VOXEL` and :data:`MOST_VOXEL` mm wide: others come from a wrong unit.
"""

import contextlib
import gzip
import os
import zlib
from dataclasses import dataclass

import nibabel
import numpy as np

from pharmasl.errors import InputError, InputErrors

MOST_TURN = 45.0
SIZE_TOLERANCE = 0.02
MOST_SKEW = 0.01
LEAST_VOXEL, MOST_VOXEL = 0.2, 30.0

# Millimetres in a spatial unit of xyzt_units (its lowest three bits); files that tell none mean millimetres.
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {0: "unknown", 1: "metre", 2: "mm", 3: "micron"}
_GZIP = b"\x1f\x8b"
# Enough of a file to hold a header of either version, compressed or not.
_BLOCK = 8192
_COPY_AGAIN = "Copy or convert the image again."
_CONVERT = "Convert the image again from the scanner's DICOM files"


@dataclass(frozen=True)
class Header:
    """What is known of an image without its voxels.

    Attributes
    ----------
    path : str
    shape : tuple of int
        Voxels along the three spatial axes.
    volumes : int
        1 of a three-dimensional image. Of shapes such as (x, y, z, 1, t), t.
    affine : ndarray of shape (4, 4), float64
        Voxel indices to RAS+ millimetres, whatever unit the file is in.
    voxel : tuple of float
        Millimetres along each axis.
    form : str
        ``sform`` or ``qform``: which of the two the affine comes from.
    dtype : numpy.dtype
        Of the voxels as stored, in the file's byte order.
    slope, intercept : float
        Stored voxels times slope plus intercept are the image's values.
    offset : int
        Bytes before the first voxel in the (decompressed) file.
    """

    path: str
    shape: tuple
    volumes: int
    affine: np.ndarray
    voxel: tuple
    form: str
    dtype: np.dtype
    slope: float
    intercept: float
    offset: int

    @property
    def size(self):
        """Bytes of the whole file, decompressed, as the header has it."""
        return self.offset + self.dtype.itemsize * self.volumes * int(np.prod(self.shape, dtype=np.int64))


def read(path):
    """Read and check the header of a NIfTI file, and whether the file is as long as it says.

    Only the first and last bytes are read: of a ``.nii.gz`` the length is that of its trailer (RFC 1952). If it does not
    fit, the file is decompressed once, to say what is wrong with it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Header

    Raises
    ------
    InputErrors
        With every problem of the header, each naming the file and the field.
    """
    path = os.fspath(path)
    with _readable(path), open(path, "rb") as file:
        block = file.read(_BLOCK)
        length = os.fstat(file.fileno()).st_size
        packed = block.startswith(_GZIP)
        if packed and length > 18:
            file.seek(-4, os.SEEK_END)
            length = int.from_bytes(file.read(4), "little")
    header = parse(path, _decompress_start(path, block) if packed else block)
    # The trailer counts to 2^32, and a file of several gzip members ends with the length of the last of them.
    if packed and length != header.size % 2**32:
        length = len(content(path))
    if not packed or length != header.size % 2**32:
        check_length(header, length)
    return header


def content(path):
    """The bytes of a file, decompressed where it is compressed (told by its first bytes, not by its name).

    The checksum of a compressed file is verified, so that a damaged one cannot pass.

    Raises
    ------
    InputErrors
        If the file is missing, cannot be read, is cut off or damaged.
    """
    path = os.fspath(path)
    with _readable(path), open(path, "rb") as file:
        stored = file.read()
    if not stored.startswith(_GZIP):
        return stored
    try:
        return gzip.decompress(stored)
    except EOFError:
        _refuse(path, "(whole file)", f"{len(stored)} bytes, cut off", "a whole .nii.gz", _COPY_AGAIN)
    except (zlib.error, gzip.BadGzipFile) as error:
        _refuse(path, "(whole file)", f"damaged: {error}", "a whole .nii.gz", _COPY_AGAIN)


def check_length(header, length):
    """Refuse a file that holds less than its header says, or so much more that the header cannot be right."""
    volume = header.dtype.itemsize * int(np.prod(header.shape, dtype=np.int64))
    if length < header.size:
        held = max(0, length - header.offset) // volume
        found = f"{length} bytes (room for {held} of {header.volumes} volumes): cut off"
    elif length >= header.size + volume:
        found = f"{length} bytes: room for {(length - header.offset) // volume} volumes where dim has {header.volumes}"
    else:
        return
    _refuse(header.path, "(whole file)", found, f"{header.size} bytes, for dim and datatype of its header", _COPY_AGAIN)


def parse(path, block):
    """The header that the first bytes of a NIfTI file hold: see :func:`read`."""
    raw = _raw(path, block)
    problems = _Problems(path)
    shape, volumes = _dimensions(raw, problems)
    dtype = _data_type(raw, problems)
    slope, intercept = _scaling(raw, problems)
    offset = _offset(raw, problems)
    affine, form = _affine(raw, shape, problems)
    if problems.errors:
        raise InputErrors(problems.errors)
    voxel = tuple(float(size) for size in np.sqrt((affine[:3, :3] ** 2).sum(axis=0)))
    return Header(path, shape, volumes, affine, voxel, form, dtype, slope, intercept, offset)


class _Problems:
    def __init__(self, path):
        self.path, self.errors = path, []

    def add(self, field, found, expected, fix):
        self.errors.append(InputError(self.path, field, found, expected, fix))


def _refuse(path, field, found, expected, fix):
    raise InputErrors([InputError(path, field, found, expected, fix)])


@contextlib.contextmanager
def _readable(path):
    """Turn the system's errors into ones that say what to do."""
    try:
        yield
    except FileNotFoundError:
        if not os.path.islink(path):
            _refuse(path, "(whole file)", "no such file", "an image", "Correct the path, or add the file.")
        _refuse(
            path,
            "(whole file)",
            f"a link to {os.readlink(path)}, which is not there",
            "the image itself",
            f"Fetch it: {_fetch(path)}.",
        )
    except OSError as error:
        _refuse(path, "(whole file)", error.strerror, "a file that can be read", "Check the path and its permissions.")


def _fetch(path):
    return f"datalad get {path} (or git annex get)"


def _decompress_start(path, block):
    with contextlib.suppress(zlib.error):
        start = zlib.decompressobj(wbits=31).decompress(block, 540)
        if len(start) == 540:
            return start
    # Too little for any image: to read all of it tells why.
    return content(path)


def _raw(path, block):
    """The header's fields as they stand (nibabel's header object, nothing fixed)."""
    if not block:
        _refuse(path, "(whole file)", "an empty file", "a NIfTI image", _COPY_AGAIN)
    if block.startswith(b"version https://git-lfs"):
        _refuse(
            path,
            "(whole file)",
            "a Git LFS pointer in place of the image",
            "the image itself",
            "Fetch it: git lfs pull.",
        )
    if b"/annex/objects/" in block[:200]:
        _refuse(
            path,
            "(whole file)",
            "a git-annex pointer in place of the image",
            "the image itself",
            f"Fetch it: {_fetch(path)}.",
        )
    versions = ((348, nibabel.Nifti1Header, slice(344, 348)), (540, nibabel.Nifti2Header, slice(4, 8)))
    for length, kind, magic in versions:
        order = {length.to_bytes(4, "little"): "<", length.to_bytes(4, "big"): ">"}.get(block[:4])
        if order is None:
            continue
        if len(block) < length:
            _refuse(path, "(whole file)", f"{len(block)} bytes: cut off", "a whole NIfTI image", _COPY_AGAIN)
        if block[magic][:3] in (b"n+1", b"n+2"):
            return kind(block[:length], order, check=False)
        _refuse(
            path,
            "magic",
            block[magic][:3].decode("latin-1"),
            "n+1 or n+2, one file of header and image",
            f"{_CONVERT}: this is a header of ANALYZE or of a pair of files, which may leave left and right open.",
        )
    start = block[:16].decode("ascii", "replace").rstrip("\x00")
    return _refuse(path, "sizeof_hdr", f"a file that begins with {start!r}", "348 or 540: a NIfTI image", _COPY_AGAIN)


def _dimensions(raw, problems):
    count, *lengths = (int(value) for value in raw["dim"])
    if not 1 <= count <= 7 or min(lengths[:count]) < 1:
        problems.add("dim", [count, *lengths], "1 to 7 dimensions, each of 1 or more", _COPY_AGAIN)
        return None, None
    lengths = lengths[:count] + [1] * (7 - count)
    beyond = [length for length in lengths[3:] if length > 1]
    if len(beyond) > 1:
        problems.add(
            "dim",
            lengths[:count],
            "three spatial axes and one of volumes",
            f"{_CONVERT}, one series a file (echoes, phases and coils each in their own).",
        )
        return None, None
    return tuple(lengths[:3]), beyond[0] if beyond else 1


def _data_type(raw, problems):
    code = int(raw["datatype"])
    known = nibabel.nifti1.data_type_codes
    dtype = known.dtype[code].newbyteorder(raw.endianness) if code in known.dtype else np.dtype("V")
    found = f"{code} ({known.label[code]})" if code in known.dtype else code
    if dtype.names:
        problems.add(
            "datatype",
            found,
            "one number a voxel",
            "This is a picture in colours, not a measurement: take the series that it was made from.",
        )
    elif dtype.kind == "c":
        problems.add(
            "datatype",
            found,
            "real numbers",
            "Save the magnitude of the complex image, and give that.",
        )
    elif dtype.kind not in "iuf":
        problems.add("datatype", found, "a data type of NIfTI", _COPY_AGAIN)
    return dtype


def _scaling(raw, problems):
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if np.isinf(slope):
        problems.add("scl_slope", slope, "a number (0 for none)", _COPY_AGAIN)
    # The standard's word for "not scaled" is 0; nibabel writes NaN.
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    if not np.isfinite(intercept):
        problems.add("scl_inter", intercept, "a number", _COPY_AGAIN)
    return slope, intercept


def _offset(raw, problems):
    offset, least = float(raw["vox_offset"]), raw.single_vox_offset
    if not (np.isfinite(offset) and offset >= 0 and offset == int(offset)):
        problems.add("vox_offset", offset, f"a whole number of {least} or more", _COPY_AGAIN)
        return None
    # Some writers leave it 0; no voxel can lie within the header.
    return max(int(offset), least)


def _affine(raw, shape, problems):
    """The matrix in millimetres and the form it comes from; None if there is none to be believed."""
    before = len(problems.errors)
    codes = {name: int(raw[f"{name}_code"]) for name in ("qform", "sform")}
    unit, voxel = _unit(raw, problems)
    if not any(code > 0 for code in codes.values()):
        problems.add(
            "qform_code, sform_code",
            f"{codes['qform']}, {codes['sform']}",
            "one of them above 0",
            f"Left and right are unknown without. {_CONVERT}, or set a code where you know the affine to be right.",
        )
        return None, None
    forms = {}
    if codes["sform"] > 0:
        forms["sform"] = _sform(raw, unit, problems)
    if codes["qform"] > 0:
        forms["qform"] = _qform(raw, unit, problems)
    if len(problems.errors) > before:
        return None, None
    # One cause, one message: what is wrong with one form would also set it against the other.
    if "sform" in forms:
        _square(forms["sform"], problems)
    if "sform" in forms and len(problems.errors) == before:
        _same_size(forms["sform"], voxel, problems)
    if len(forms) == 2 and len(problems.errors) == before:
        _agree(forms["qform"], forms["sform"], problems)
    form = "sform" if "sform" in forms else "qform"
    return forms[form], form


def _unit(raw, problems):
    """Millimetres in the file's unit, and the voxels' size in mm by ``pixdim``."""
    code = int(raw["xyzt_units"]) & 7
    if code not in _UNITS:
        problems.add("xyzt_units", code, "1, 2 or 3 (metre, mm, micron)", _COPY_AGAIN)
        return 1.0, None
    sizes = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        problems.add("pixdim", sizes.tolist(), "three voxel sizes above 0", f"{_CONVERT}.")
        return _UNITS[code], None
    voxel = sizes * _UNITS[code]
    if not ((voxel >= LEAST_VOXEL) & (voxel <= MOST_VOXEL)).all():
        problems.add(
            "pixdim, xyzt_units",
            f"voxels of {_sizes(voxel)} mm ({_sizes(sizes)} {_UNIT_NAMES[code]})",
            f"{LEAST_VOXEL:g} to {MOST_VOXEL:g} mm",
            "Correct the unit in xyzt_units, or the sizes.",
        )
    return _UNITS[code], voxel


def _sizes(values):
    return " x ".join(f"{value:g}" for value in values)


def _sform(raw, unit, problems):
    matrix = raw.get_sform().astype(np.float64)
    if not np.isfinite(matrix).all():
        problems.add("srow_x, srow_y, srow_z", matrix[:3].tolist(), "numbers", f"{_CONVERT}.")
        return None
    lengths = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    # The volume of a voxel over that of a brick with its edges: 0 if the axes lie in one plane.
    if not (lengths > 0).all() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < MOST_SKEW:
        problems.add(
            "srow_x, srow_y, srow_z",
            matrix[:3].tolist(),
            "three axes in space",
            f"{_CONVERT}; where the qform is right, setting sform_code to 0 is enough.",
        )
        return None
    matrix[:3] *= unit
    return matrix


def _qform(raw, unit, problems):
    quaternion = [float(raw[f"quatern_{axis}"]) for axis in "bcd"]
    if not np.isfinite(quaternion).all() or np.dot(quaternion, quaternion) > 1.0001:
        problems.add(
            "quatern_b, quatern_c, quatern_d", quaternion, "a rotation: squares that sum to 1 at most", f"{_CONVERT}."
        )
        return None
    offsets = [float(raw[f"qoffset_{axis}"]) for axis in "xyz"]
    if not np.isfinite(offsets).all():
        problems.add("qoffset_x, qoffset_y, qoffset_z", offsets, "numbers", f"{_CONVERT}.")
        return None
    handedness = float(raw["pixdim"][0])
    if handedness not in (-1.0, 0.0, 1.0):
        problems.add("pixdim[0]", handedness, "-1 or 1: whether the qform is a mirror image", f"{_CONVERT}.")
        return None
    if any(error.field == "pixdim" for error in problems.errors):
        return None
    complete = raw.copy()
    # 0 stands for 1 (NIfTI-1, "METHOD 2"); and rounding may make the squares sum to a little more than 1.
    complete["pixdim"][0] = handedness or 1.0
    for axis, value in zip("bcd", quaternion):
        complete[f"quatern_{axis}"] = value / max(1.0, np.sqrt(np.dot(quaternion, quaternion)))
    matrix = complete.get_qform().astype(np.float64)
    matrix[:3] *= unit
    return matrix


def _square(matrix, problems):
    axes = matrix[:3, :3] / np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    skew = float(max(abs(np.einsum("a,a->", axes[:, i], axes[:, j])) for i, j in ((0, 1), (0, 2), (1, 2))))
    if skew > MOST_SKEW:
        problems.add(
            "srow_x, srow_y, srow_z",
            f"axes at {np.degrees(np.arccos(skew)):.1f} degrees",
            "90 degrees",
            "Resample the image to a grid with square axes, or convert it again.",
        )


def _same_size(matrix, voxel, problems):
    own = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    if voxel is not None and (np.abs(own / voxel - 1) > SIZE_TOLERANCE).any():
        problems.add(
            "pixdim, srow_x, srow_y, srow_z",
            f"voxels of {_sizes(voxel)} mm and of {_sizes(own)} mm",
            "one size",
            f"{_CONVERT}: programs differ in which of the two they read.",
        )


def _agree(qform, sform, problems):
    turns = [matrix[:3, :3] / np.sqrt((matrix[:3, :3] ** 2).sum(axis=0)) for matrix in (qform, sform)]
    if np.linalg.det(turns[0]) * np.linalg.det(turns[1]) < 0:
        found = f"axes to {_orientation(qform)} and to {_orientation(sform)}: mirror images of each other"
    else:
        # Of the rotation between the two, trace = 1 + 2 cos(angle).
        cosine = (np.einsum("ab,ab->", *turns) - 1) / 2
        angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if angle <= MOST_TURN:
            return
        found = f"axes to {_orientation(qform)} and to {_orientation(sform)}, {angle:.0f} degrees apart"
    problems.add(
        "qform, sform",
        found,
        f"one handedness and at most {MOST_TURN:g} degrees",
        f"{_CONVERT}; where you know one to be right, set the code of the other to 0.",
    )


def _orientation(matrix):
    return "".join(nibabel.aff2axcodes(matrix))
