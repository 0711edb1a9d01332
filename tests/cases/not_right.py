"""The cases that are not answered as they should be yet, with what comes instead; the table counts them."""

REASONS: dict[str, str] = {
    "sidecar missing": "6 errors: bids/sub-01/ses-T1/perf/sub-01_ses-T1_acq-rest_asl.json: Ar…",
    "craving.tsv: no session as the study has": "12 errors: bids/phenotype/craving.tsv: line 2, session: found 'V1', e…",
    "craving.tsv: another study's people": "12 errors: bids/phenotype/craving.tsv: line 2, participant_id: found …",
    "names: extension in capitals": "accepted; left out:",
    "names: suffix in capitals": "accepted; left out:",
    "names: a folder Sub-06": "3 errors: bids/Sub-06: folder: found 'Sub-06', expected sub-<label>, …",
    "names: a folder sub_06": "3 errors: bids/sub_06: folder: found 'sub_06', expected sub-<label>, …",
    "configuration: two conditions that match one run": "12 errors: config: conditions: found 'rest and again both match bids/…",
    "configuration: a session that nobody has": "7 errors: config: sessions.followup: found 'T3', expected a session o…",
    "configuration: a sphere in the air": "accepted",
    "configuration: a sphere off the grid": "accepted",
    "configuration: a radius below a voxel": "accepted",
    "configuration: a label the atlas has not": "accepted",
    "configuration: planes that leave nothing": "accepted",
    "configuration: an image that is not there": "accepted",
}
