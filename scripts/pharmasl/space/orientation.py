"""The affine of a NIfTI header by its qform and sform, or why it cannot be trusted.

The side of a brain rests on these numbers: nothing is guessed. A header that leaves left and right open, or states them
twice and differently, is an error. The limits:

- qform and sform, where both are set, must have the same handedness, axes within :data:`MOST_TURN` degrees of each other,
  and voxels of the same size (as must ``pixdim``, within :data:`SIZE_TOLERANCE`). Of a raw image, their origins and smaller
  rotations may differ: a sform may well have been aligned to something, and registration goes by what the image shows. As in
  nibabel, the sform is then used. (The forms of eleven series and images from scanners of three manufacturers differed by
  0.0014 mm at most.) Of an image whose place is taken from its header (on a template, or beside another program's transforms),
  they may not put a voxel more than :data:`MOST_APART` mm apart: :func:`pharmasl.space.header.check_place`.
- Axes may deviate from right angles by as much as rounding makes them (:data:`MOST_SKEW`, a cosine).
- Voxels are between :data:`LEAST_VOXEL` and :data:`MOST_VOXEL` mm wide: others come from a wrong unit.
"""

import itertools
from dataclasses import dataclass

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from pharmasl.space.header_problems import CONVERT, COPY_AGAIN, Problems

MOST_TURN = 45.0
SIZE_TOLERANCE = 0.02
MOST_SKEW = 0.01
LEAST_VOXEL, MOST_VOXEL = 0.2, 30.0
MOST_APART = 0.1  # mm

# Millimetres per spatial unit of xyzt_units (its lowest three bits); a file without a unit is in millimetres.
_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {0: "unknown", 1: "metre", 2: "mm", 3: "micron"}


@dataclass(frozen=True)
class Orientation:
    """Where a header puts an image.

    Attributes
    ----------
    affine : ndarray of shape (4, 4), float64
        Maps voxel indices to RAS+ millimetres.
    form : str
        ``sform`` or ``qform``: the one from which the affine comes.
    apart : float
        Millimetres between the places that qform and sform give a corner of the image, of the corner where they are farthest;
        0 where one of them is not set.
    """

    affine: np.ndarray
    form: str
    apart: float


_NOWHERE = Orientation(np.eye(4), "", 0.0)


def read(raw: nibabel.Nifti1Header, shape: tuple[int, int, int], problems: Problems) -> Orientation:
    """Where a header puts its image.

    Parameters
    ----------
    raw : nibabel.Nifti1Header
        As it stands in the file.
    shape : tuple of int
        Voxels along the three axes.
    problems : Problems
        Problems are added to it; what is returned has a meaning only if there are none.

    Returns
    -------
    Orientation
    """
    before = len(problems.errors)
    codes = {name: int(raw[f"{name}_code"]) for name in ("qform", "sform")}
    unit, voxel = _unit(raw, problems)
    if not any(code > 0 for code in codes.values()):
        problems.add(
            field="qform_code, sform_code",
            found=f"{codes['qform']}, {codes['sform']}",
            expected="one of them above 0",
            fix=f"Left and right are unknown without it. {CONVERT}, or set a code where you know the affine to be right.",
        )
        return _NOWHERE
    readers = {"sform": _sform, "qform": _qform}
    matrices = {form: reader(raw, unit, problems) for form, reader in readers.items() if codes[form] > 0}
    forms = {form: matrix for form, matrix in matrices.items() if matrix is not None}
    if len(problems.errors) > before:
        return _NOWHERE
    # One cause, one message: what is wrong with one form would also contradict the other.
    if "sform" in forms:
        _check_angles(forms["sform"], problems)
    if "sform" in forms and len(problems.errors) == before:
        _check_sizes(forms["sform"], voxel, problems)
    if len(forms) == 2 and len(problems.errors) == before:
        _check_agreement(forms["qform"], forms["sform"], problems)
    form = "sform" if "sform" in forms else "qform"
    apart = _apart(forms["qform"], forms["sform"], shape) if len(forms) == 2 else 0.0
    return Orientation(forms[form], form, apart)


def _apart(qform: np.ndarray, sform: np.ndarray, shape: tuple[int, int, int]) -> float:
    """How far two affines put a corner of an image apart at most, mm."""
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, length - 1) for length in shape))])
    return float(np.linalg.norm(corners @ (qform - sform)[:3].T, axis=1).max())


def _unit(raw: nibabel.Nifti1Header, problems: Problems) -> tuple[float, np.ndarray | None]:
    """Millimetres per unit of the file, and the voxel sizes (mm) according to ``pixdim``."""
    code = int(raw["xyzt_units"]) & 7
    if code not in _UNITS:
        problems.add(field="xyzt_units", found=code, expected="1, 2 or 3 (metre, mm, micron)", fix=COPY_AGAIN)
        return 1.0, None
    sizes = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        problems.add(field="pixdim", found=sizes.tolist(), expected="three voxel sizes above 0", fix=f"{CONVERT}.")
        return _UNITS[code], None
    voxel = sizes * _UNITS[code]
    if not ((voxel >= LEAST_VOXEL) & (voxel <= MOST_VOXEL)).all():
        problems.add(
            field="pixdim, xyzt_units",
            found=f"voxels of {_sizes(voxel)} mm ({_sizes(sizes)} {_UNIT_NAMES[code]})",
            expected=f"{LEAST_VOXEL:g} to {MOST_VOXEL:g} mm",
            fix="Correct the unit in xyzt_units, or the sizes.",
        )
    return _UNITS[code], voxel


def _sizes(values: np.ndarray) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _sform(raw: nibabel.Nifti1Header, unit: float, problems: Problems) -> np.ndarray | None:
    matrix = raw.get_sform().astype(np.float64)
    if not np.isfinite(matrix).all():
        problems.add(field="srow_x, srow_y, srow_z", found=matrix[:3].tolist(), expected="numbers", fix=f"{CONVERT}.")
        return None
    lengths = voxel_sizes(matrix)
    # The volume of a voxel over that of a brick with its edges: 0 if the axes lie in one plane.
    if not (lengths > 0).all() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < MOST_SKEW:
        problems.add(
            field="srow_x, srow_y, srow_z",
            found=matrix[:3].tolist(),
            expected="three axes in space",
            fix=f"{CONVERT}; where the qform is right, setting sform_code to 0 is enough.",
        )
        return None
    matrix[:3] *= unit
    return matrix


def _qform(raw: nibabel.Nifti1Header, unit: float, problems: Problems) -> np.ndarray | None:
    quaternion = [float(raw[f"quatern_{axis}"]) for axis in "bcd"]
    if not np.isfinite(quaternion).all() or np.dot(quaternion, quaternion) > 1.0001:
        problems.add(
            field="quatern_b, quatern_c, quatern_d",
            found=quaternion,
            expected="a rotation: squares that sum to 1 at most",
            fix=f"{CONVERT}.",
        )
        return None
    offsets = [float(raw[f"qoffset_{axis}"]) for axis in "xyz"]
    if not np.isfinite(offsets).all():
        problems.add(field="qoffset_x, qoffset_y, qoffset_z", found=offsets, expected="numbers", fix=f"{CONVERT}.")
        return None
    handedness = float(raw["pixdim"][0])
    if handedness not in (-1.0, 0.0, 1.0):
        problems.add(
            field="pixdim[0]",
            found=handedness,
            expected="-1 or 1: whether the qform is a mirror image",
            fix=f"{CONVERT}.",
        )
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


def _check_angles(matrix: np.ndarray, problems: Problems) -> None:
    axes = matrix[:3, :3] / voxel_sizes(matrix)
    skew = float(max(abs(np.einsum("a,a->", axes[:, i], axes[:, j])) for i, j in ((0, 1), (0, 2), (1, 2))))
    if skew > MOST_SKEW:
        problems.add(
            field="srow_x, srow_y, srow_z",
            found=f"axes at {np.degrees(np.arccos(skew)):.1f} degrees",
            expected="90 degrees",
            fix="Resample the image to a grid with square axes, or convert it again.",
        )


def _check_sizes(matrix: np.ndarray, voxel: np.ndarray | None, problems: Problems) -> None:
    own = voxel_sizes(matrix)
    if voxel is not None and (np.abs(own / voxel - 1) > SIZE_TOLERANCE).any():
        problems.add(
            field="pixdim, srow_x, srow_y, srow_z",
            found=f"voxels of {_sizes(voxel)} mm and of {_sizes(own)} mm",
            expected="one size",
            fix=f"{CONVERT}: programs differ in the one that they read.",
        )


def _check_agreement(qform: np.ndarray, sform: np.ndarray, problems: Problems) -> None:
    turns = [matrix[:3, :3] / voxel_sizes(matrix) for matrix in (qform, sform)]
    if np.linalg.det(turns[0]) * np.linalg.det(turns[1]) < 0:
        difference = f"axes to {_axis_codes(qform)} and to {_axis_codes(sform)}: mirror images of each other"
    else:
        # Of the rotation between the two, trace = 1 + 2 cos(angle).
        cosine = (np.einsum("ab,ab->", *turns) - 1) / 2
        angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if angle <= MOST_TURN:
            return
        difference = f"axes to {_axis_codes(qform)} and to {_axis_codes(sform)}, {angle:.0f} degrees apart"
    problems.add(
        field="qform, sform",
        found=difference,
        expected=f"one handedness and at most {MOST_TURN:g} degrees",
        fix=f"{CONVERT}; where you know one to be right, set the code of the other to 0.",
    )


def _axis_codes(matrix: np.ndarray) -> str:
    return "".join(nibabel.aff2axcodes(matrix))
