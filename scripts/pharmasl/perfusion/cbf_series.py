"""The CBF of each repeat of a scan, on its own grid."""

import numpy as np

from pharmasl.errors import FilePath
from pharmasl.perfusion import estimation, scan
from pharmasl.space import images
from pharmasl.study import settings
from pharmasl.study.distortion import Distortion
from pharmasl.study.scan_acquisition import Acquisition


def write(
    path: FilePath,
    files: scan.RawFiles,
    brain_mask: FilePath,
    *,
    acquisition: Acquisition,
    quantification: settings.Quantification,
    distorted: Distortion | None = None,
) -> None:
    """Write the CBF of each pair or difference of a scan, as its mean CBF was made of them.

    Parameters
    ----------
    path : path-like
        Written: image of shape (X, Y, Z, N), mL/100 g/min; 0 outside the brain and where a repeat does not reach. Of several
        delays, the apparent CBF of each by itself.
    files : pharmasl.perfusion.scan.RawFiles
    brain_mask : path-like
        On the scan's grid.
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    quantification : pharmasl.study.settings.Quantification
    distorted : pharmasl.study.distortion.Distortion, optional
        How the images were encoded, where there is a field.

    Raises
    ------
    InputError
        As :func:`pharmasl.perfusion.scan.read`.
    """
    raw = scan.read(files, acquisition, quantification, distorted)
    brain = images.load(brain_mask)[0] > 0
    cbf = estimation.repeats(raw, scan.own_place(raw, brain)).cbf
    series = np.zeros((*brain.shape, cbf.shape[1]), dtype=np.float32)
    series[brain] = np.nan_to_num(cbf)
    # A pair takes two repetitions; the blocks of a cycle are of one time.
    per_repeat = {"pairs": 2, "encoded": None}.get(raw.volumes.kind, 1)
    step = acquisition.repetition_time and per_repeat and acquisition.repetition_time * per_repeat
    images.save(path, series, raw.affine, time_step=step)
