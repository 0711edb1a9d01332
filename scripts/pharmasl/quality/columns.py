"""What each column of the quality table means, its unit and where its definition comes from."""

SCAN = {
    "participant_id": "Participant",
    "session": "Session",
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
        "Description": "Median over grey-matter voxels of mean over SD of CBF across label-control pairs",
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
    "pairs": {
        "LongName": "Label-control pairs",
        "Description": "Number of label-control pairs in the mean CBF",
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
    "commas. A flag asks for a look; no scan is dropped by it."
}

COLUMNS = {**SCAN, **METRICS, **FLAGS}

# What a study is judged by at a glance, in the order of the study's figure and the report's summary.
MEASURES = (
    "qei",
    "spatial_cov",
    "negative_gm_share",
    "gm_cbf",
    "wm_cbf",
    "gm_wm_ratio",
    "temporal_snr",
    "fd_mean",
    "fd_max",
    "dvars_mean",
    "coverage",
    "template_correlation",
)
