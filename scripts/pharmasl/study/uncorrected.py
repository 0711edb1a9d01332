"""How large the distortion of a scan may be that is not corrected."""

from collections.abc import Mapping
from typing import Any

from pharmasl.space.header import Header
from pharmasl.study import phase_encoding

# The field's mean deviation in regions of one head at 3 T, Hz: it grows with the field strength.
HERTZ = {"vmPFC": 68, "inferior temporal lobe": 57, "frontal pole": 35, "ventral insula": 10}
_TESLA = 3.0


def note(why: str, fields: Mapping[str, Any], header: Header | None) -> str:
    """Why a scan is not corrected for distortion, and how far that may displace tissue, where.

    Parameters
    ----------
    why : str
    fields : Mapping
        Of the run's sidecar.
    header : pharmasl.space.header.Header or None
        Of the run's image.

    Returns
    -------
    str
    """
    encoding, _ = phase_encoding.read(dict(fields), "", header.shape if header else None)
    if encoding is None or header is None:
        return f"{why}; how large it may be is not known: the sidecar states no phase encoding and readout time that can be used"
    per_hertz = encoding.readout_time * header.voxel[encoding.axis]
    strength = fields.get("MagneticFieldStrength")
    if isinstance(strength, int | float) and strength > 0:
        per_hertz *= strength / _TESLA
    places = ", ".join(f"{hertz * per_hertz:.1f} mm in the {name}" for name, hertz in HERTZ.items())
    return f"{why}; in a head like that of which the field was measured it displaces tissue by {places}"
