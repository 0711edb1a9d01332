"""What each column of the quality table means, its unit and where its definition comes from."""

from typing import Any

SCAN = {
    "participant_id": "Participant",
    "session_id": "Session",
    "condition": "State of the scan, as the configuration names it",
    "scan": "File stem of the scan below the output folder",
}

METRICS = {
    "qei": {
        "LongName": "Quality evaluation index",
        "Description": "0 (noise) to 1, from structural similarity, dispersion and negative grey-matter CBF of the map "
        "smoothed by 5 mm FWHM within the brain; tissues above 0.7 (Dolui et al. 2024, J Magn Reson Imaging)",
        "Units": "1",
    },
    "structural_similarity": {
        "LongName": "Structural similarity",
        "Description": "Correlation of the smoothed CBF with 2.5 GM + WM over the brain; a term of the QEI",
        "Units": "1",
    },
    "dispersion_index": {
        "LongName": "Dispersion index",
        "Description": "Variance of the smoothed CBF pooled within GM, WM and CSF over its mean in GM; a QEI term",
        "Units": "mL/100 g/min",
    },
    "negative_gm_share": {
        "LongName": "Negative grey-matter CBF",
        "Description": "Share of grey-matter voxels with CBF below zero, unsmoothed",
        "Units": "1",
    },
    "high_cbf_share": {
        "LongName": "High grey-matter CBF",
        "Description": "Share of grey-matter voxels with CBF above 150 mL/100 g/min, unsmoothed; label still in the "
        "arteries, or an artefact",
        "Units": "1",
    },
    "spatial_cov": {
        "LongName": "Spatial coefficient of variation",
        "Description": "SD over mean of CBF in grey matter (Mutsaerts et al. 2017, J Cereb Blood Flow Metab); high "
        "when the label is still in the arteries",
        "Units": "1",
    },
    "gm_cbf": {
        "LongName": "Grey-matter CBF",
        "Description": "Mean CBF in grey matter",
        "Units": "mL/100 g/min",
    },
    "gm_cbf_z": {
        "LongName": "Perfusion signal (z)",
        "Description": "Mean grey-matter CBF over its standard error across the repeats used, a Student's t, as the "
        "normal quantile of the same tail; near zero where there is no perfusion signal. n/a with no two repeats of a delay",
        "Units": "1",
    },
    "wm_cbf": {
        "LongName": "White-matter CBF",
        "Description": "Mean CBF in white matter",
        "Units": "mL/100 g/min",
    },
    "gm_wm_ratio": {
        "LongName": "Grey to white matter CBF ratio",
        "Description": "Mean CBF in grey matter over mean CBF in white matter",
        "Units": "1",
    },
    "temporal_snr": {
        "LongName": "Temporal signal-to-noise ratio",
        "Description": "Median over grey-matter voxels of mean over SD of CBF across the repeats used",
        "Units": "1",
    },
    "fd_mean": {
        "LongName": "Mean framewise displacement",
        "Description": "Mean over volumes of the framewise displacement (Power et al. 2012, NeuroImage; 50 mm radius)",
        "Units": "mm",
    },
    "fd_max": {
        "LongName": "Largest framewise displacement",
        "Description": "Maximum over volumes of the framewise displacement (Power et al. 2012, NeuroImage)",
        "Units": "mm",
    },
    "dvars_mean": {
        "LongName": "Mean DVARS",
        "Description": "Mean over volumes of DVARS, as percent of the mean over the brain (after Power et al. 2012, NeuroImage)",
        "Units": "percent",
    },
    "coverage": {
        "LongName": "Brain coverage",
        "Description": "Share of the template's brain mask inside the scan's field of view",
        "Units": "1",
    },
    "template_correlation": {
        "LongName": "Agreement with the template",
        "Description": "Correlation of the CBF on the template grid with the template's grey-matter probability, "
        "within the covered brain; low when a registration failed",
        "Units": "1",
    },
    "registration_overlap": {
        "LongName": "Overlap after registration",
        "Description": "Overlap of the scan's brain with the anatomy's after their registration, 0 to 1, as the "
        "scan's _from-aslref_to-T1w_mode-image_xfm.json has it",
        "Units": "1",
    },
    "pairs_used": {
        "LongName": "Repeats that pass",
        "Description": "Label-control pairs, deltaM or CBF volumes, or blocks of time-encoded cycles, that hold a measurement and that no rule in force "
        "marks: the mean CBF is made of them, or, where there are none, of all",
        "Units": "1",
    },
    "pairs": {
        "LongName": "Repeats acquired",
        "Description": "Label-control pairs, deltaM or CBF volumes, or blocks of time-encoded cycles, acquired",
        "Units": "1",
    },
    "pairs_without_signal": {
        "LongName": "Repeats without signal",
        "Description": "Repeats acquired of which a volume holds no measurement (empty, damaged, a copy); the scan's "
        "_desc-repeats_timeseries.tsv says which and why",
        "Units": "1",
    },
    "slices_out_of_line": {
        "LongName": "Slices out of line",
        "Description": "Share of the slices of raw controls and labels whose signal departs from that of the same slice of other "
        "volumes; the scan's _desc-confounds_timeseries.tsv says which. n/a where all slices are read at once (3D)",
        "Units": "1",
    },
    "orders_open": {
        "LongName": "Orders of the code left open",
        "Description": "Of a time-encoded scan: other orders of volumes and blocks that explain it about as well as the stated one by another CBF or "
        "transit time (all that were tried, where it has too little signal), unless perfusion.encodings confirms that; n/a of others",
        "Units": "1",
    },
    "m0_over_control": {
        "LongName": "M0 over control",
        "Description": "Median over the brain of M0 as it was stored (times perfusion.m0.scale) over the mean control; under "
        "background suppression M0 is clearly brighter",
        "Units": "1",
    },
    "m0_spread": {
        "LongName": "Spread of the M0 volumes",
        "Description": "Mean signal of the brightest M0 volume over that of the dimmest, in the head",
        "Units": "1",
    },
    "gain_step": {
        "LongName": "Step of the signal level",
        "Description": "Factor by which the mean signal of controls and labels steps from one pair to the next and stays "
        "changed",
        "Units": "1",
    },
    "zero_cbf_share": {
        "LongName": "CBF of exactly zero",
        "Description": "Share of the brain's voxels with CBF of exactly 0, among those whose CBF is known",
        "Units": "1",
    },
    "effective_delay": {
        "LongName": "Effective delay",
        "Description": "Time that the blood labelled last had to reach the tissue, at the longest delay and the median slice: "
        "the post-labelling delay, or the inversion time less the bolus",
        "Units": "s",
    },
    "delays": {
        "LongName": "Post-labelling delays",
        "Description": "Number of different post-labelling delays; what is formed across repeats is formed across those "
        "of one delay",
        "Units": "1",
    },
    "gm_voxels": {
        "LongName": "Grey-matter voxels",
        "Description": "Voxels in the grey-matter mask",
        "Units": "1",
    },
    "gm_threshold": {
        "LongName": "Grey-matter threshold",
        "Description": "Probability above which a voxel is grey matter: 0.7, or 0.6 or 0.5 where fewer than 50 voxels "
        "were left",
        "Units": "1",
    },
    "wm_voxels": {
        "LongName": "White-matter voxels",
        "Description": "Voxels in the white-matter mask",
        "Units": "1",
    },
    "wm_threshold": {
        "LongName": "White-matter threshold",
        "Description": "Probability above which a voxel is white matter: 0.9, or 0.8 or 0.7 where fewer than 50 voxels "
        "were left",
        "Units": "1",
    },
}

FLAGS = {
    "flags": "Measures outside the configured bands, as measure:low, measure:high or measure:missing, separated by "
    "commas. A flag asks for visual inspection; it excludes a scan only where the configuration says so (quality.exclude)."
}

JUDGEMENT: dict[str, Any] = {
    "left_out_by": "For what repeats do not pass, each with their number, separated by commas; n/a where all pass",
    "implausible": "What in the scan no brain and no scanner makes, with the likely cause, causes separated by semicolons; "
    "n/a where there is nothing",
    "registration": {
        "Description": "Whether the registration to the anatomy was accepted; n/a where another program made the CBF map",
        "Levels": {"accepted": "Accepted", "not accepted": "Its transform is not to be trusted"},
    },
    "usable": {
        "Description": "Whether the scan enters contrasts and analyses",
        "Levels": {"yes": "It does", "no": "Excluded, for the reason beside"},
    },
    "exclusion_reason": "Why the scan is excluded, reasons separated by semicolons; n/a for a usable scan",
    "accepted_by_hand": "The reason for which a person accepted the scan (quality.accept_scans); n/a where nobody did",
    "overruled": "The reasons for which the scan would be excluded, had nobody accepted it; n/a where there are none",
}

COLUMNS: dict[str, Any] = {**SCAN, **METRICS, **FLAGS, **JUDGEMENT}

EXCLUSIONS: dict[str, Any] = {**SCAN, "reason": "Why the scan enters no contrast and no analysis"}

# What a study is judged by at a glance, in the order of the study's figure and the report's summary.
MEASURES = (
    "qei",
    "spatial_cov",
    "negative_gm_share",
    "high_cbf_share",
    "gm_cbf",
    "gm_cbf_z",
    "wm_cbf",
    "gm_wm_ratio",
    "temporal_snr",
    "fd_mean",
    "fd_max",
    "dvars_mean",
    "coverage",
    "registration_overlap",
    "template_correlation",
)

# Formed across repeats of one delay: a scan of a single repeat a delay has none of them by design.
ACROSS_REPEATS = ("temporal_snr", "gm_cbf_z")
# Of readouts slice by slice, and of time-encoded series: other scans have none by design.
BY_DESIGN = ("slices_out_of_line", "orders_open")
