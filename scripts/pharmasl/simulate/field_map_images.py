"""Field maps of a head, as scanners store them: the phase difference of two echoes, or two images of opposed phase encoding."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pharmasl.simulate import label_control_series, participant_anatomy
from pharmasl.simulate.echo_planar import Readout
from pharmasl.simulate.label_control_series import SCALE
from pharmasl.simulate.scanner_model import T1, Scanner
from pharmasl.simulate.susceptibility import IDENTIFIER, LABELS, encoded
from pharmasl.space import resample, transforms
from pharmasl.space.images import Grid
from pharmasl.study.distortion import PhaseEncoding

# Seconds. Phases of the two echoes differ by a turn at 407 Hz.
_ECHOES = (0.00492, 0.00738)
# A turn is stored as -4096 to 4094 in steps of 2, as Siemens does.
_STORED = 4096
# Thermal noise against that of a run: a gradient echo is read out slowly.
_QUIETER = 0.5


@dataclass(frozen=True)
class Image:
    """An image of a field map.

    Attributes
    ----------
    data : ndarray of shape (X, Y, Z)
        Whole numbers.
    grid : images.Grid
    metadata : mapping of str to value
        Of its sidecar.
    """

    data: np.ndarray
    grid: Grid
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Scene:
    """What lies in the scanner.

    Attributes
    ----------
    scanner : Scanner
    magnetisation : label_control_series.Magnetisation
        M0 by tissue, without the point spread along the phase encoding.
    hertz : ndarray of shape (X, Y, Z)
        The field.
    affine : ndarray of shape (4, 4)
        Of both grids.
    """

    scanner: Scanner
    magnetisation: label_control_series.Magnetisation
    hertz: np.ndarray
    affine: np.ndarray

    @functools.cached_property
    def recovered(self) -> np.ndarray:
        """The signal of tissue before a readout: M0 as it has recovered since the last."""
        shares = {name: 1 - np.exp(-self.scanner.m0_repetition_time / T1[name]) for name in self.magnetisation}
        return functools.reduce(np.add, (np.float32(shares[name]) * m0 for name, m0 in self.magnetisation.items()))


def phase_difference(
    rng: np.random.Generator, scene: Scene, grid: Grid, placement: np.ndarray, axis: int
) -> dict[str, Image]:
    """Two magnitudes and the difference of their phases, of gradient echoes, which are not distorted.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
    grid : images.Grid
    placement : ndarray of shape (4, 4)
        Maps points of the images to the head.
    axis : int
        The runs' phase encoding, along which the scene has no point spread yet.

    Returns
    -------
    dict of str to Image
        By the names of :func:`pharmasl.simulate.susceptibility.field_names`.
    """
    points = transforms.points(grid)
    tissue = label_control_series.spread(scene.recovered, scene.affine, scene.scanner, (axis,))
    received = participant_anatomy.receive_field(rng, grid, scene.scanner.receive_bias)
    signal = received * resample.resample(tissue, scene.affine, points, placement, fill=0.0)
    hertz = resample.resample(scene.hertz, scene.affine, points, placement, fill=0.0)
    thermal = _QUIETER * scene.scanner.noise
    echoes = []
    for echo in _ECHOES:
        noise = rng.standard_normal((2, *grid.shape)) * thermal
        echoes.append(signal * np.exp(2j * np.pi * hertz * echo) + noise[0] + 1j * noise[1])
    phase = np.angle(echoes[1] * np.conj(echoes[0]))
    stored = np.clip(2 * np.rint(phase / np.pi * _STORED / 2), -_STORED, _STORED - 2)
    times = {"EchoTime1": _ECHOES[0], "EchoTime2": _ECHOES[1]}
    return {
        **{
            f"magnitude{number}": Image(np.rint(SCALE * np.abs(image)), grid, _sidecar(EchoTime=_ECHOES[number - 1]))
            for number, image in enumerate(echoes, start=1)
        },
        "phasediff": Image(stored, grid, _sidecar(**times)),
    }


def opposed(
    rng: np.random.Generator,
    scene: Scene,
    grid: Grid,
    placements: tuple[np.ndarray, ...],
    encodings: tuple[PhaseEncoding, ...],
) -> dict[str, Image]:
    """Two spin echoes of opposed phase encoding, which lose no signal to the field.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
    grid : images.Grid
    placements : tuple of ndarray of shape (4, 4)
        Map points of each image to the head.
    encodings : tuple of PhaseEncoding

    Returns
    -------
    dict of str to Image
        By the names of :func:`pharmasl.simulate.susceptibility.field_names`.
    """
    received = participant_anatomy.receive_field(rng, grid, scene.scanner.receive_bias)
    out = {}
    for placement, encoding in zip(placements, encodings):
        readout = Readout(encoding, scene.hertz, scene.affine)
        points = transforms.points(readout.fine(grid))
        signal = resample.resample(scene.recovered, scene.affine, points, placement, fill=0.0)
        noise = rng.standard_normal((2, *grid.shape)) * scene.scanner.noise
        data = np.hypot(readout.image(signal, points, placement) * received + noise[0], noise[1])
        metadata = _sidecar(EchoTime=0.05, **encoded(encoding))
        out[f"dir-{LABELS[encoding.direction]}_epi"] = Image(np.rint(SCALE * data), grid, metadata)
    return out


def _sidecar(**fields: Any) -> dict[str, Any]:
    return {
        "Manufacturer": "pharmasl simulator",
        "MagneticFieldStrength": 3,
        "B0FieldIdentifier": IDENTIFIER,
        **fields,
    }
