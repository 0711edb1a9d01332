"""Size and shape of the template's tissue maps, fitted to a scan of a person without a T1-weighted image."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from pharmasl.perfusion.coregistration import contrast
from pharmasl.perfusion.stretch import SIZE, about, stretch_of
from pharmasl.perfusion.tissue_maps import LEVELS, Tissues, blur, middle
from pharmasl.perfusion.tissue_model import TissueModel

# What lies this far around the brain (mm) has an intensity of its own while the size is fitted. Without it, scalp and
# meninges that are as bright as the brain count as brain: the same head became 7 % larger by its M0 than by its deltaM.
RIM = (2.0, 12.0)


def average_size(tissues: Tissues) -> np.ndarray:
    """The map from a brain of average size to the template: a stretch about the maps' centre, (4, 4)."""
    return about(np.exp(SIZE) * np.eye(3), middle(tissues))


def fit_stretch(
    image: np.ndarray, affine: np.ndarray, tissues: Tissues, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Size and shape of the template's maps, fitted to an image.

    Parameters
    ----------
    image : ndarray of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
    tissues : Tissues
        Of the template.
    start : ndarray of shape (4, 4)
        Maps points of the image to points of the template, roughly.

    Returns
    -------
    stretch : ndarray of shape (4, 4)
        Symmetric, about the maps' centre: takes a head of the scan's size and shape to the template.
    rigid : ndarray of shape (4, 4)
        Maps points of the image to points of that head: the whole is ``stretch @ rigid``.
    """
    bright, centre = float(np.percentile(image, 98)), middle(tissues)
    if not bright > 0:
        return average_size(tissues), np.eye(4)
    scaled, candidates = (image / bright).astype(np.float32), []
    # With the rim and without: dark fluid beside a bright scalp would otherwise pass for a larger brain.
    for maps in (_rimmed(tissues), tissues):
        matrix = start
        # Not at the coarsest level: blurred, scalp and brain are one, and the brain would be stretched to the scalp.
        for number in range(1, len(LEVELS)):
            level = TissueModel(maps, number, scaled, affine, LEVELS[number][1], near=matrix)
            matrix = level.fit(matrix, stretch=True).matrix
        candidates.append((contrast(scaled, affine, tissues, matrix)[0], matrix))
    matrix = max(candidates, key=lambda pair: pair[0])[1]
    stretch = about(stretch_of(matrix), centre)
    return stretch, np.linalg.inv(stretch) @ matrix


def _rimmed(tissues: Tissues) -> Tissues:
    """The maps, and one more of what lies around the brain."""
    total = tissues.maps.sum(axis=0)
    voxel = np.sqrt((tissues.affine[:3, :3] ** 2).sum(axis=0))
    away = ndimage.distance_transform_edt(total < 0.5, sampling=voxel)
    rim = np.where((away > RIM[0]) & (away <= RIM[1]), np.clip(1 - total, 0, 1), 0).astype(np.float32)
    blurred = [np.concatenate([maps, blur(rim, fwhm, voxel)[None]]) for maps, (fwhm, _) in zip(tissues.blurred, LEVELS)]
    return replace(tissues, maps=np.concatenate([tissues.maps, rim[None]]), blurred=tuple(blurred))
