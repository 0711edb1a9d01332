"""What the images of the results are, by their names: each kind of image is described here once, and nowhere else by its name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pharmasl.files import bids
from pharmasl.study.cbf_units import CBF_UNIT


@dataclass(frozen=True)
class ImageKind:
    """A kind of image.

    Attributes
    ----------
    pattern : str
        A regular expression that is searched in paths below the results' folder.
    description : str
    unit : str or None
        Of the values; None where they have none, as labels and masks, or where the job that makes the image knows it.
    of_template : bool
        Whether an image without the entity ``space`` lies in the template's space all the same.
    reference : str or None
        What ends the name of the image, of the same scan or anatomy, on whose grid one without the entity ``space`` lies; None
        for an image that is such a reference itself.
    unread : tuple of str
        Inputs of the rule, by name, that other outputs of the rule are made of and this one is not.
    more : mapping
        Further fields, with which BIDS describes images of the kind.
    """

    pattern: str
    description: str
    unit: str | None = None
    of_template: bool = False
    reference: str | None = None
    unread: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


_TISSUES = {"GM": "grey matter", "WM": "white matter", "CSF": "cerebrospinal fluid"}
_BRAIN = {"Type": "Brain"}
_SHARE = "Share of {} in each voxel, 0 to 1"
_CORRECTED = "CBF of {}, corrected for partial volumes; NaN where there is too little of it"
_SCAN, _ANATOMY = "aslref.nii.gz", "desc-preproc_T1w.nii.gz"
# Inputs that only the maps on the template are made of.
_TO_TEMPLATE = ("forward", "reference", "template_mask")
# Inputs that the tissues of a scan do without: they are those of the anatomy, brought to the scan.
_SERIES = (
    "asl",
    "m0",
    "motion",
    "m0_motion",
    "field",
    "transit_time",
    "t1",
    "transit_time_sidecar",
    "t1_sidecar",
    "confounds",
    *_TO_TEMPLATE,
)
_PRIORS = ("priors_gm", "priors_wm", "priors_csf", "gm", "wm", "csf")


def _anatomies() -> tuple[ImageKind, ...]:
    return (
        ImageKind(r"/anat/[^/]*_from-T1w_to-[^/]*_xfm\.", "Deformation from the T1w to the template", "mm", True),
        ImageKind(
            r"/anat/[^/]*_to-T1w_[^/]*_xfm\.", "Deformation from the template to the T1w", "mm", reference=_ANATOMY
        ),
        ImageKind(
            r"/anat/[^/]*_space-[^/]*_T1w\.",
            "T1w of the brain on the template, 0 outside the brain",
            unread=_PRIORS,
            more={"SkullStripped": True},
        ),
        # The job knows what was done with it.
        ImageKind(r"/anat/[^/]*_T1w\.", "T1w with its bias field divided out"),
        ImageKind(r"/anat/[^/]*_desc-brain_mask\.", "1 in the brain", reference=_ANATOMY, more=_BRAIN),
        *(
            ImageKind(
                rf"/anat/[^/]*_label-{label}_[^/]*probseg\.",
                _SHARE.format(tissue),
                "1",
                reference=_ANATOMY,
                unread=("reference",),
            )
            for label, tissue in _TISSUES.items()
        ),
    )


def _transit_times() -> tuple[ImageKind, ...]:
    return (
        ImageKind(
            r"/perf/[^/]*_desc-known_att\.",
            "Arterial transit time that the scan's CBF was computed with, on its own grid",
            "s",
            reference=_SCAN,
        ),
        ImageKind(
            r"/perf/[^/]*_desc-known_T1map\.",
            "T1 of tissue that the scan's CBF was computed with, on its own grid",
            "s",
            reference=_SCAN,
        ),
        ImageKind(r"/perf/[^/]*_space-[^/]*_att\.", "Arterial transit time on the template", "s"),
        ImageKind(
            r"/perf/[^/]*_att\.",
            "Arterial transit time on the scan's own grid",
            "s",
            reference=_SCAN,
            unread=_TO_TEMPLATE,
        ),
    )


def _scans() -> tuple[ImageKind, ...]:
    return (
        ImageKind(
            r"/perf/[^/]*_aslref\.",
            "Mean of the realigned volumes of a series, its reference for registration",
            unread=("gm", "wm", "csf"),
        ),
        ImageKind(r"/perf/[^/]*_fieldmap\.", "Field map of the scan, on the series' grid", "Hz", reference=_SCAN),
        ImageKind(
            r"/perf/[^/]*_desc-distortion_xfm\.",
            "Displacement of the series by the field, on the series' grid",
            "mm",
            reference=_SCAN,
        ),
        ImageKind(
            r"/perf/[^/]*_desc-preproc_asl\.",
            "Realigned series of labels, controls or differences, on its own grid",
            reference=_SCAN,
            more={"SkullStripped": False},
        ),
        ImageKind(
            r"/perf/[^/]*_desc-timeseries_cbf\.",
            "CBF of each pair or difference",
            CBF_UNIT,
            reference=_SCAN,
            unread=_TO_TEMPLATE,
        ),
        *_conditions(),
        *(
            kind
            for label, tissue in (("GM", "grey matter"), ("WM", "white matter"))
            for kind in (
                ImageKind(rf"/perf/[^/]*_space-[^/]*_desc-pvc{label}_cbf\.", _CORRECTED.format(tissue), CBF_UNIT),
                ImageKind(
                    rf"/perf/[^/]*_desc-pvc{label}_cbf\.",
                    _CORRECTED.format(tissue),
                    CBF_UNIT,
                    reference=_SCAN,
                    unread=_TO_TEMPLATE,
                ),
            )
        ),
        ImageKind(
            r"/perf/[^/]*_desc-smooth_cbf\.",
            "CBF smoothed within the brain, as it enters the contrasts; 0 where it is not known",
            CBF_UNIT,
        ),
        ImageKind(r"/perf/[^/]*_desc-standarderror_cbf\.", "Standard error of CBF over its repeats", CBF_UNIT),
        ImageKind(r"/perf/[^/]*_space-[^/]*_cbf\.", "CBF on the template, not smoothed", CBF_UNIT),
        ImageKind(r"/perf/[^/]*_cbf\.", "CBF on the scan's own grid", CBF_UNIT, reference=_SCAN, unread=_TO_TEMPLATE),
        *_transit_times(),
        ImageKind(
            r"/perf/[^/]*_desc-coverage_mask\.",
            "1 where the scan has a smoothed CBF: inside its field of view and the brain",
        ),
        ImageKind(
            r"/perf/[^/]*_desc-brain_mask\.",
            "1 in the brain",
            reference=_SCAN,
            unread=(*_SERIES, "gm", "wm", "csf"),
            more=_BRAIN,
        ),
        *(
            ImageKind(
                rf"/perf/[^/]*_label-{label}_probseg\.",
                _SHARE.format(tissue),
                "1",
                reference=_SCAN,
                unread=(*_SERIES, "mask", *({"gm", "wm", "csf"} - {label.lower()})),
            )
            for label, tissue in _TISSUES.items()
        ),
    )


def _conditions() -> tuple[ImageKind, ...]:
    """Of runs in which conditions alternate."""
    of_one, known = "of one of the run's conditions, by the model of its blocks", rf"/perf/[^/]*_{bids.CONDITION}-"
    smooth = f"CBF {of_one}, smoothed within the brain, as it enters the contrasts; 0 where it is not known"
    return (
        ImageKind(rf"{known}[^/]*_desc-standarderror_cbf\.", f"Standard error of the CBF {of_one}", CBF_UNIT),
        ImageKind(
            r"/perf/[^/]*_desc-covariance_cbf\.",
            "Covariance of the CBF of the run's conditions, a volume for each pair of them in their order",
            f"({CBF_UNIT})^2",
        ),
        ImageKind(rf"{known}[^/]*_desc-smooth_cbf\.", smooth, CBF_UNIT),
        ImageKind(
            rf"{known}[^/]*_space-[^/]*_desc-pvcGM_cbf\.", f"{_CORRECTED.format('grey matter')}; {of_one}", CBF_UNIT
        ),
        ImageKind(
            rf"{known}[^/]*_desc-pvcGM_cbf\.",
            f"{_CORRECTED.format('grey matter')}; {of_one}",
            CBF_UNIT,
            reference=_SCAN,
            unread=_TO_TEMPLATE,
        ),
        ImageKind(rf"{known}[^/]*_space-[^/]*_cbf\.", f"CBF {of_one} on the template, not smoothed", CBF_UNIT),
        ImageKind(
            rf"{known}[^/]*_cbf\.",
            f"CBF {of_one} on the scan's own grid",
            CBF_UNIT,
            reference=_SCAN,
            unread=_TO_TEMPLATE,
        ),
    )


def _template() -> tuple[ImageKind, ...]:
    return (
        ImageKind(r"^template/[^/]*_T1w\.", "T1w of the template: brain only, 0 outside, largest value 1", "1", True),
        ImageKind(r"^template/[^/]*_mask\.", "1 in the brain of the template", of_template=True, more=_BRAIN),
        *(
            ImageKind(rf"^template/[^/]*_label-{label}_probseg\.", _SHARE.format(tissue), "1", True)
            for label, tissue in _TISSUES.items()
        ),
        ImageKind(r"^template/[^/]*_dseg\.", "Atlas: the number of each voxel's region, 0 outside", of_template=True),
    )


# Maps under alternatives of the processing, which are gone once their answers are known: nobody reads a sidecar of them.
PASSING = "sensitivity/maps/"
# Of several that match, the first.
KINDS = (
    *_anatomies(),
    *_scans(),
    # Of what a contrast is, and in which unit, the jobs write.
    ImageKind(
        r"/contrasts/[^/]*_stat-standarderror_statmap\.",
        "Standard error of a contrast, from its scans' own",
    ),
    ImageKind(r"/contrasts/[^/]*_statmap\.", "Contrast of a visit"),
    ImageKind(r"/contrasts/[^/]*_att\.", "Arterial transit time of a contrast", "s"),
    *_template(),
    ImageKind(r"^rois/[^/]*_mask\.", "Region of interest, 1 inside", of_template=True),
    *(
        ImageKind(rf"^repeatability/[^/]*_stat-{label}_", f"Map of repeatability: {what}", unit, True, unread=("gm",))
        for label, what, unit in (
            ("withinsd", "within-person standard deviation", None),
            ("withincv", "within-person coefficient of variation", "%"),
            ("icc", "intraclass correlation ICC(3,1)", "1"),
            ("people", "people with a value in both sessions", "1"),
        )
    ),
    ImageKind(r"^group/", "Map of an analysis", of_template=True),
    ImageKind(
        r"^neurovault/", "Map of an analysis under the name that metadata.tsv has for NeuroVault", of_template=True
    ),
)


def kind_of(path: str) -> ImageKind:
    """The kind of an image.

    Parameters
    ----------
    path : str
        Below the results' folder.

    Raises
    ------
    LookupError
        If no kind has such a name.
    """
    for kind in KINDS:
        if re.search(kind.pattern, path):
            return kind
    raise LookupError(f"{path}: no kind of image has such a name; add one to {__name__}")
