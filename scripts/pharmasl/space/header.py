"""The header of a NIfTI file, checked before any voxel is read.

A header whose numbers cannot be those of a head is an error; so is a file that holds less (or much more) than its header
says. What is asked of the orientation stands in :mod:`pharmasl.space.orientation`.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.errors import FilePath, InputErrors
from pharmasl.files import compression
from pharmasl.space import orientation
from pharmasl.space.header_problems import CONVERT, COPY_AGAIN, Problems, refusal

_GZIP = b"\x1f\x8b"
# Enough of a file to hold a header of either version, compressed or not.
_BLOCK = 8192
_NO_SHAPE = (0, 0, 0)


@dataclass(frozen=True)
class Header:
    """The properties of an image that are known without its voxels.

    Attributes
    ----------
    path : str
    shape : tuple of int
        Voxels along the three spatial axes.
    volumes : int
        1 for a three-dimensional image, t for the shapes (x, y, z, t) and (x, y, z, 1, t).
    affine : ndarray of shape (4, 4), float64
        Maps voxel indices to RAS+ millimetres, whatever the unit of the file.
    voxel : tuple of float
        Millimetres along each axis.
    form : str
        ``sform`` or ``qform``: the one from which the affine comes.
    code : int
        Of that form: 1 for the scanner's space, 2 for another image's, 4 for MNI's, 5 for another template's.
    apart : float
        How far qform and sform, where both are set, put a corner of the image apart, mm.
    dtype : numpy.dtype
        Of the stored voxels, in the file's byte order.
    slope, intercept : float
        The image's values are slope times the stored values plus intercept.
    offset : int
        Bytes before the first voxel in the decompressed file.
    """

    path: str
    shape: tuple[int, int, int]
    volumes: int
    affine: np.ndarray
    voxel: tuple[float, ...]
    form: str
    code: int
    apart: float
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    offset: int

    @property
    def volume_size(self) -> int:
        """Bytes of one volume."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    @property
    def size(self) -> int:
        """Bytes of the decompressed file according to the header."""
        return self.offset + self.volumes * self.volume_size


def apart(one: Header, two: Header) -> float:
    """How far the corners of two images of one shape lie apart at most, mm."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(one.shape) - 1)
    places = [corners @ known.affine[:3, :3].T + known.affine[:3, 3] for known in (one, two)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).max())


def read(path: FilePath) -> Header:
    """The header of a NIfTI file, checked, and its size checked against the file's.

    Only the first and last bytes are read: the length of a ``.nii.gz`` is taken from its trailer (RFC 1952). If it does
    not fit the header, the file is decompressed once, so that the message can say what is wrong with it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Header

    Raises
    ------
    InputErrors
        With every problem of the header, by file and field.
    """
    path = os.fspath(path)
    with _readable(path), open(path, "rb") as file:
        block = file.read(_BLOCK)
        length = os.fstat(file.fileno()).st_size
        packed = block.startswith(_GZIP)
        if packed and length > 18:
            file.seek(-4, os.SEEK_END)
            length = int.from_bytes(file.read(4), "little")
    header = parse(path, _decompressed_start(path, block) if packed else block)
    # The trailer counts modulo 2^32, and a file of several gzip members ends with the length of the last of them.
    if packed and length != header.size % 2**32:
        length = len(content(path))
    if not packed or length != header.size % 2**32:
        check_length(header, length)
    return header


def check_place(known: Header) -> None:
    """Refuse an image whose qform and sform put it in two places, where its place is taken from its header.

    So it is of every image on a template, and of those that another program's transforms belong to: no registration would
    show which of the two is right, and programs differ in the one that they read.

    Parameters
    ----------
    known : Header

    Raises
    ------
    InputErrors
    """
    if known.apart > orientation.MOST_APART:
        raise refusal(
            known.path,
            field="qform, sform",
            found=f"two places, {known.apart:.3g} mm apart",
            expected="one place in space",
            fix="Programs differ in the one that they read. Where you know one to be right, set the code of the other to 0, or take "
            "the file from its source anew.",
        )


def content(path: FilePath) -> bytes:
    """The bytes of a file, decompressed if its first bytes are those of a gzip file, whatever its name.

    The checksum of a compressed file is verified, so that a damaged one is noticed.

    Raises
    ------
    InputErrors
        If the file is missing, unreadable, cut off or damaged.
    """
    path = os.fspath(path)
    with _readable(path), open(path, "rb") as file:
        stored = file.read()
    if not stored.startswith(_GZIP):
        return stored
    try:
        return compression.decompress(stored)
    except EOFError:
        raise refusal(
            path,
            field="(whole file)",
            found=f"{len(stored)} bytes, cut off",
            expected="a whole .nii.gz",
            fix=COPY_AGAIN,
        ) from None
    except gzip.BadGzipFile as error:
        raise refusal(
            path, field="(whole file)", found=f"damaged: {error}", expected="a whole .nii.gz", fix=COPY_AGAIN
        ) from None


def check_length(header: Header, length: int) -> None:
    """Refuse a file that holds less than its header says, or so much more that the header cannot be right."""
    volume = header.volume_size
    if length < header.size:
        held = max(0, length - header.offset) // volume
        actual = f"{length} bytes (room for {held} of {header.volumes} volumes): cut off"
    elif length >= header.size + volume:
        actual = f"{length} bytes: room for {(length - header.offset) // volume} volumes where dim has {header.volumes}"
    else:
        return
    raise refusal(
        header.path,
        field="(whole file)",
        found=actual,
        expected=f"{header.size} bytes, for dim and datatype of its header",
        fix=COPY_AGAIN,
    )


def parse(path: FilePath, block: bytes) -> Header:
    """The header in the first bytes of a NIfTI file, decompressed, checked as :func:`read` does.

    Parameters
    ----------
    path : path-like
        Named in errors.
    block : bytes
        Of the file's beginning.

    Raises
    ------
    InputErrors
        With every problem of the header.
    """
    path = os.fspath(path)
    raw = _raw(path, block)
    problems = Problems(path)
    shape, volumes = _dimensions(raw, problems)
    dtype = _data_type(raw, problems)
    slope, intercept = _scaling(raw, problems)
    offset = _offset(raw, problems)
    placed = orientation.read(raw, shape, problems)
    if problems.errors:
        raise InputErrors(problems.errors)
    return Header(
        path=path,
        shape=shape,
        volumes=volumes,
        affine=placed.affine,
        voxel=tuple(float(size) for size in voxel_sizes(placed.affine)),
        form=placed.form,
        code=int(raw[f"{placed.form}_code"]),
        apart=placed.apart,
        dtype=dtype,
        slope=slope,
        intercept=intercept,
        offset=offset,
    )


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn the system's errors into ones that say what to do."""
    try:
        yield
    except FileNotFoundError:
        if not os.path.islink(path):
            raise refusal(
                path,
                field="(whole file)",
                found="no such file",
                expected="an image",
                fix="Correct the path, or add the file.",
            ) from None
        raise refusal(
            path,
            field="(whole file)",
            found=f"a link to {os.readlink(path)}, which is not there",
            expected="the image itself",
            fix=f"Fetch it: {_fetch(path)}.",
        ) from None
    except OSError as error:
        raise refusal(
            path,
            field="(whole file)",
            found=error.strerror,
            expected="a file that can be read",
            fix="Check the path and its permissions.",
        ) from None


def _fetch(path: str) -> str:
    return f"datalad get {path} (or git annex get)"


def _decompressed_start(path: str, block: bytes) -> bytes:
    with contextlib.suppress(zlib.error):
        start = zlib.decompressobj(wbits=31).decompress(block, 540)
        if len(start) == 540:
            return start
    # Too little for any image: reading all of it shows why.
    return content(path)


def _check_fetched(path: str, block: bytes) -> None:
    """Refuse an empty file, and a pointer in place of a file's content."""
    if not block:
        raise refusal(path, field="(whole file)", found="an empty file", expected="a NIfTI image", fix=COPY_AGAIN)
    if block.startswith(b"version https://git-lfs"):
        raise refusal(
            path,
            field="(whole file)",
            found="a Git LFS pointer in place of the image",
            expected="the image itself",
            fix="Fetch it: git lfs pull.",
        )
    if b"/annex/objects/" in block[:200]:
        raise refusal(
            path,
            field="(whole file)",
            found="a git-annex pointer in place of the image",
            expected="the image itself",
            fix=f"Fetch it: {_fetch(path)}.",
        )


def _raw(path: str, block: bytes) -> nibabel.Nifti1Header:
    """The header's fields as they stand, none of them corrected by nibabel."""
    _check_fetched(path, block)
    versions = ((348, nibabel.Nifti1Header, slice(344, 348)), (540, nibabel.Nifti2Header, slice(4, 8)))
    for length, kind, magic in versions:
        order = {length.to_bytes(4, "little"): "<", length.to_bytes(4, "big"): ">"}.get(block[:4])
        if order is None:
            continue
        if len(block) < length:
            raise refusal(
                path,
                field="(whole file)",
                found=f"{len(block)} bytes: cut off",
                expected="a whole NIfTI image",
                fix=COPY_AGAIN,
            )
        if block[magic][:3] in (b"n+1", b"n+2"):
            return kind(block[:length], order, check=False)
        raise refusal(
            path,
            field="magic",
            found=block[magic][:3].decode("latin-1"),
            expected="n+1 or n+2, one file of header and image",
            fix=f"{CONVERT}: this is a header of ANALYZE or of a pair of files, which may leave left and right open.",
        )
    start = block[:16].decode("ascii", "replace").rstrip("\x00")
    raise refusal(
        path,
        field="sizeof_hdr",
        found=f"a file that begins with {start!r}",
        expected="348 or 540: a NIfTI image",
        fix=COPY_AGAIN,
    )


def _dimensions(raw: nibabel.Nifti1Header, problems: Problems) -> tuple[tuple[int, int, int], int]:
    """The three spatial dimensions and the number of volumes; of no meaning where there was a problem."""
    count, *lengths = (int(value) for value in raw["dim"])
    if not 1 <= count <= 7 or min(lengths[:count]) < 1:
        problems.add(
            field="dim", found=[count, *lengths], expected="1 to 7 dimensions, each of 1 or more", fix=COPY_AGAIN
        )
        return _NO_SHAPE, 1
    lengths = lengths[:count] + [1] * (7 - count)
    beyond = [length for length in lengths[3:] if length > 1]
    if len(beyond) > 1:
        problems.add(
            field="dim",
            found=lengths[:count],
            expected="three spatial axes and one of volumes",
            fix=f"{CONVERT}, one series per file (echoes, phases and coils each in their own).",
        )
        return _NO_SHAPE, 1
    return (lengths[0], lengths[1], lengths[2]), beyond[0] if beyond else 1


def _data_type(raw: nibabel.Nifti1Header, problems: Problems) -> np.dtype[Any]:
    code = int(raw["datatype"])
    known: Any = nibabel.nifti1.data_type_codes  # the types of its values are unknown to the checker
    dtype = known.dtype[code].newbyteorder(raw.endianness) if code in known.dtype else np.dtype("V")
    kind = f"{code} ({known.label[code]})" if code in known.dtype else code
    if dtype.names:
        problems.add(
            field="datatype",
            found=kind,
            expected="one number per voxel",
            fix="This is a picture in colours, not a measurement: take the series that it was made from.",
        )
    elif dtype.kind == "c":
        problems.add(
            field="datatype",
            found=kind,
            expected="real numbers",
            fix="Save the magnitude of the complex image, and give that.",
        )
    elif dtype.kind not in "iuf":
        problems.add(field="datatype", found=kind, expected="a data type of NIfTI", fix=COPY_AGAIN)
    return dtype


def _scaling(raw: nibabel.Nifti1Header, problems: Problems) -> tuple[float, float]:
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if np.isinf(slope):
        problems.add(field="scl_slope", found=slope, expected="a number (0 for none)", fix=COPY_AGAIN)
    # In the standard, 0 means "not scaled"; nibabel writes NaN.
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    if not np.isfinite(intercept):
        problems.add(field="scl_inter", found=intercept, expected="a number", fix=COPY_AGAIN)
    return slope, intercept


def _offset(raw: nibabel.Nifti1Header, problems: Problems) -> int:
    offset, least = float(raw["vox_offset"]), raw.single_vox_offset
    if not (np.isfinite(offset) and offset >= 0 and offset == int(offset)):
        problems.add(field="vox_offset", found=offset, expected=f"a whole number of {least} or more", fix=COPY_AGAIN)
        return int(least)
    # Some writers leave it 0; no voxel can lie within the header.
    return max(int(offset), least)
