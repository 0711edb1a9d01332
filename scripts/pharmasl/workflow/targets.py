"""Which outputs follow from a study: the lists that the rules' input functions hand on."""

import functools
import os
import re
import types

from pharmasl.errors import did_you_mean, similar
from pharmasl.files import bids
from pharmasl.study import own_template, primary, settings, shared_data, sheets
from pharmasl.study.effect_kinds import KINDS
from pharmasl.workflow import model_rows

# Settings of craving that its ratings are read by.
_RATINGS = ("before", "after", "range", "condition", "unknown", "covariates")
# Those by which they become scores: what comes after reads the scores.
_SCORING = frozenset({"table", "before", "after", "range", "condition", "unknown"})


# What of a scan's acquisition has no part in its alignment.
_QUANTIFICATION = frozenset(
    {
        "sources",
        "units",
        "labeling_efficiency",
        "suppression_pulses",
        "m0_repetition_time",
        "m0_echo_time",
        "m0_scale",
        "repetition_time",
        "echo_time",
        "field_strength",
        "t1_blood",
        "haematocrit",
        "t1_tissue",
        "t2_star",
        "partition_coefficient",
        "total_acquired_pairs",
        "fieldmaps",
    }
)


class _Known(dict):
    """What belongs to each stem of the study; the plan ends with a plain message at a stem that it does not have."""

    def __missing__(self, stem):
        hint = did_you_mean(similar(stem, self, most=3), "The study's scans stand in study/scans.tsv.")
        # Snakemake would wrap an ordinary exception in a traceback of the program.
        raise SystemExit(f"{stem}: asked for, but no scan, visit or anatomy of the study. {hint}")


class Targets:
    """Paths of outputs by what they are needed for.

    Parameters
    ----------
    study : pharmasl.study.trial.Study
    root : str
        The results' folder.
    """

    def __init__(self, study, root):
        self.study, self.root = study, root
        self.space = study.config["template"]["space"]
        self._scans = _Known(study.scans)
        self._t1w = _Known(study.t1w)
        self._visit_of_stem = _Known({study.visit_stem(visit): visit for visit in study.visits})

    @staticmethod
    def pattern(names):
        """A regular expression that matches these names and nothing else."""
        return "|".join(re.escape(name) for name in names) or "(?!)"

    def stems(self, datatype, chosen=None):
        """A regular expression of the stems of a datatype, or of some of them.

        Snakemake compiles it into every pattern with the wildcard: the naming rule is short however many people there
        are. Only where two rules make the same files of different scans are the scans named one by one.

        Parameters
        ----------
        datatype : {"anat", "perf", "contrasts"}
        chosen : sequence of str, optional
            All stems of the datatype unless given.
        """
        known = {"anat": self.study.t1w, "perf": self.study.scans, "contrasts": self._visit_of_stem}[datatype]
        if chosen is None or len(chosen) == len(known):
            return bids.stem_pattern(datatype)
        return self.pattern(chosen)

    def sheets(self):
        """What the study's tables hold."""
        return sheets.content(self.study)

    def t1w(self, wildcards):
        """The raw T1-weighted images that an anatomy is made of."""
        return list(self._t1w[wildcards.anat])

    def anatomies(self, assumed):
        """The stems of those anatomies that are (not) the template's for want of a T1w."""
        return [stem for stem, paths in self.study.t1w.items() if (not paths) == assumed]

    def assumed(self, wildcards):
        """Whether a scan's participant has no T1w of their own."""
        return not self.study.t1w[self._anatomy(wildcards)]

    def _anatomy(self, wildcards):
        return self.study.anatomy(self._scans[wildcards.scan].visit)

    def asl(self, wildcards):
        """The raw series of a scan."""
        return self._scans[wildcards.scan].asl

    def m0(self, wildcards):
        """The separate M0 of a scan: a list of one path, or empty."""
        path = self._scans[wildcards.scan].m0
        return [path] if path else []

    def acquisition(self, wildcards):
        """How a scan was acquired, with where each value was found."""
        return self._scans[wildcards.scan].acquisition

    def acquisition_of_alignment(self, wildcards):
        """How a scan was acquired, without what serves its quantification alone."""
        return {key: value for key, value in self.acquisition(wildcards).items() if key not in _QUANTIFICATION}

    def scans(self, several_delays):
        """The stems of the scans with several delays (or labelling durations), or of those with one."""
        return [
            stem
            for stem, scan in self.study.scans.items()
            if several_delays
            == any(isinstance(scan.acquisition[name], list) for name in ("post_labeling_delay", "labeling_duration"))
        ]

    def quantification(self):
        """The settings of the quantification, without those that have done their work when it begins."""
        settings = self.study.config["perfusion"]
        used = (
            "calibration",
            "q2tips",
            "m0",
            "subtraction",
            "outliers",
            "delays",
            "partial_volume",
            "smoothing_fwhm",
            "interpolation",
        )
        return {**{key: settings[key] for key in used}, "motion": {"regress": settings["motion"]["regress"]}}

    def label(self, wildcards):
        """Who and what a scan is, for tables and pages."""
        scan = self._scans[wildcards.scan]
        return {
            "participant_id": f"sub-{scan.subject}",
            "session_id": scan.session,
            "condition": scan.condition,
            "scan": scan.name,
        }

    def scan_rules(self):
        """The rules by which every scan is judged, as plain values."""
        return settings.plain(settings.build(settings.QualityRules, self.study.config["quality"]).scan_rules)

    def own_exclusion(self, wildcards):
        """The user's reason for excluding a scan by name; None for the others."""
        return self.study.config["quality"]["exclude_scans"].get(self._scans[wildcards.scan].name)

    def own_acceptance(self, wildcards):
        """The user's reason for accepting a scan by name; None for the others."""
        return self.study.config["quality"]["accept_scans"].get(self._scans[wildcards.scan].name)

    def anatomy_of(self, pattern):
        """An input function: the anatomy's file that a scan needs, from a pattern with the wildcard ``{anat}``."""
        return lambda wildcards: pattern.replace("{anat}", self._anatomy(wildcards))

    def states(self, pattern):
        """An input function: the scans' files that a contrast at a visit needs, from a pattern with ``{scan}``."""

        def paths(wildcards):
            pairs = self.study.contrast_scans(self._visit_of_stem[wildcards.visit], wildcards.contrast)
            return [pattern.replace("{scan}", scan.stem) for scan, _ in pairs]

        return paths

    def visit_stems(self):
        """The stems of all visits, in order."""
        return list(self._visit_of_stem)

    def of_visit(self, pattern, wanted=True):
        """An input function: a pattern with ``{scan}`` for every scan of a visit, in order; none unless wanted."""

        def paths(wildcards):
            scans = self.study.visits[self._visit_of_stem[wildcards.visit]] if wanted else []
            return [pattern.replace("{scan}", scan.stem) for scan in scans]

        return paths

    def anatomy_of_visit(self, pattern, wanted=True):
        """An input function: the file of the anatomy that a visit's scans use, of a pattern with ``{anat}``, as a list."""

        def paths(wildcards):
            anatomy = self.study.anatomy(self._visit_of_stem[wildcards.visit])
            return [pattern.replace("{anat}", anatomy)] if wanted else []

        return paths

    def weights(self, wildcards):
        """The weights of those files."""
        pairs = self.study.contrast_scans(self._visit_of_stem[wildcards.visit], wildcards.contrast)
        return [weight for _, weight in pairs]

    def _contrast(self, visit, contrast, **entities):
        return bids.derivative(
            self.root, self.study.visit_stem(visit), "cbf", space=self.space, contrast=contrast, **entities
        )

    def contrasts(self):
        """All contrast maps."""
        return [self._contrast(visit, contrast) for visit, contrast in self.study.available_contrasts()]

    def session_maps(self, which):
        """An input function: the members' contrast maps of an analysis at the baseline or the follow-up session."""

        def paths(wildcards):
            name = wildcards.analysis
            label = self.study.analysis_sessions(name).get(which)
            contrast = self.study.config["analyses"][name]["contrast"]
            members = self.study.members(name, which) if label else []
            return [self._contrast((subject, label), contrast) for subject in members]

        return paths

    def members(self, wildcards):
        """Whose maps those are, session by session."""
        name = wildcards.analysis
        sessions = self.study.analysis_sessions(name)
        return {
            which: [f"sub-{subject}" for subject in self.study.members(name, which)] if which in sessions else []
            for which in ("baseline", "followup")
        }

    @functools.cached_property
    def uses(self):
        """What each model may look at of the participants' table: see :func:`pharmasl.workflow.model_rows.tables`."""
        return model_rows.tables(self.study, list(self.seed_slopes()))

    def participants_of(self, use):
        """The table of :attr:`uses` under a name, or a pattern of names."""
        return f"{self.root}/study/participants/{use}.tsv"

    def is_cbf(self, wildcards):
        """Whether the contrast of an analysis is a CBF."""
        contrast = self.study.config["analyses"][wildcards.analysis]["contrast"]
        return shared_data.is_cbf(self.study.config["contrasts"][contrast])

    def shared_data(self, wildcards):
        """What an analysis shares with its seed or its region, in words."""
        return shared_data.of_analysis(self.study.config, wildcards.analysis)

    def analysis_sessions(self, wildcards):
        """The labels of those sessions."""
        return self.study.analysis_sessions(wildcards.analysis)

    def within(self, wildcards):
        """The mask of the region to which an analysis is restricted: a list of one path, or empty."""
        region = self.study.config["analyses"][wildcards.analysis].get("within")
        return [f"{self.root}/rois/{region}_mask.nii.gz"] if region else []

    def seed(self, wildcards):
        """The seed's values that an association needs: a list of one path, or empty."""
        seed = self.study.config["analyses"][wildcards.analysis].get("seed")
        return [self.roi_values(seed["roi"])] if seed else []

    def roi_values(self, roi):
        """The table of a region's values."""
        return f"{self.root}/rois/{roi}_values.tsv"

    def roi_sources(self, kind, given=()):
        """An input function: the files that define a region, of one kind.

        Parameters
        ----------
        kind : {"clusters", "atlas", "image"}
        given : list of str
            The atlas' files, for the regions that need them.
        """

        def paths(wildcards):
            roi = self.study.config["rois"][wildcards.roi]
            if kind == "clusters" and "analysis" in roi:
                name = roi["analysis"]
                return [bids.derivative(f"{self.root}/group/{name}", name, "dseg", desc="clusters")]
            if kind == "atlas" and "atlas" in roi:
                return list(given)
            if kind == "image" and "image" in roi:
                return [roi["image"]]
            return []

        return paths

    def roi_definition(self, wildcards):
        """What a region is, without how it is read."""
        region = {"name": wildcards.roi, **self.study.config["rois"][wildcards.roi]}
        return settings.plain(settings.build(settings.Region, region).definition)

    def seed_slope_rois(self):
        """The regions whose slopes on a seed are told: those related to craving, or all where none are."""
        config = self.study.config
        return list(config.get("craving", {}).get("rois") or config["rois"])

    def seed_slopes(self, wildcards=None):
        """The analyses with a seed, each with its settings, members and sessions; of those with another region."""
        found = {}
        for name, analysis in self.study.config["analyses"].items():
            if "seed" in analysis and any(roi != analysis["seed"]["roi"] for roi in self.seed_slope_rois()):
                members = self.members(types.SimpleNamespace(analysis=name))["baseline"]
                sessions = self.study.analysis_sessions(name)
                found[name] = {"settings": analysis, "members": members, "sessions": sessions}
        return found

    def seed_slope_regions(self, pattern):
        """A pattern with ``{roi}`` for each of those regions and seeds, once."""
        analyses = self.study.config["analyses"]
        rois = [*self.seed_slope_rois(), *(analyses[name]["seed"]["roi"] for name in self.seed_slopes())]
        return [pattern.replace("{roi}", roi) for roi in dict.fromkeys(rois)]

    def if_seed_slopes(self, paths):
        """These paths if an analysis has a seed and another region to tell of, else none."""
        return list(paths) if self.seed_slopes() else []

    def own_template(self):
        """The user's own template by kind of file (``t1w``, ``mask``, ``gm``, ``wm``, ``csf``); empty for nilearn's."""
        return own_template.files(self.study.config["template"])

    def own_atlas(self):
        """The user's own atlas files; none where a package carries them."""
        atlas = self.study.config["atlas"]
        return [] if "package" in atlas else [atlas["image"], atlas["labels"]]

    def roi_maps(self, wildcards):
        """The contrast maps whose values a region's table holds, of all visits."""
        return self.contrasts()

    def roi_rows(self, wildcards):
        """Who and what each of those maps is."""
        arms = self.study.config.get("arms")
        return [
            {
                "participant_id": f"sub-{visit[0]}",
                "session_id": visit[1],
                "arm": self.study.participants[visit[0]].get(arms["column"]) if arms else None,
                "contrast": contrast,
            }
            for visit, contrast in self.study.available_contrasts()
        ]

    def regions(self, space):
        """The regions read in a space, ``"template"`` or ``"native"``."""
        return [name for name, roi in self.study.config["rois"].items() if roi["space"] == space]

    def defined_by(self, roi):
        """What a region is defined by: ``"a-priori"`` (no name of an analysis), or the analysis whose cluster it is."""
        return self.study.config["rois"][roi].get("analysis", "a-priori")

    def native_regions(self, wildcards):
        """The native regions that one source defines, each with its statistic."""
        rois = self.study.config["rois"]
        return {
            roi: rois[roi]["statistic"] for roi in self.regions("native") if self.defined_by(roi) == wildcards.source
        }

    def native_masks(self, pattern):
        """An input function: a pattern with ``{roi}`` for each of those regions."""
        return lambda wildcards: [pattern.replace("{roi}", roi) for roi in self.native_regions(wildcards)]

    def contrast_stems(self):
        """The stems of the scans that enter a contrast, once, in order."""
        pairs = (self.study.contrast_scans(*each) for each in self.study.available_contrasts())
        return list(dict.fromkeys(scan.stem for each in pairs for scan, _ in each))

    def of_contrasts(self, pattern):
        """An input function: a pattern with ``{scan}``, and maybe ``{source}`` of the region, for each of those scans."""

        def paths(wildcards):
            source = self.defined_by(wildcards.roi)
            return [pattern.replace("{source}", source).replace("{scan}", stem) for stem in self.contrast_stems()]

        return paths

    def native_rows(self, wildcards):
        """:meth:`roi_rows`, with the places of the contrast's scans among :meth:`contrast_stems`, and their weights."""
        place = {stem: number for number, stem in enumerate(self.contrast_stems())}
        rows = []
        for row, each in zip(self.roi_rows(wildcards), self.study.available_contrasts()):
            pairs = self.study.contrast_scans(*each)
            scans, weights = [place[scan.stem] for scan, _ in pairs], [weight for _, weight in pairs]
            rows.append({**row, "scans": scans, "weights": weights})
        return rows

    def craving_values(self, wildcards):
        """The region tables that the craving relations need."""
        return [self.roi_values(roi) for roi in self.study.config["craving"]["rois"]]

    def craving_masks(self, wildcards):
        """The definitions of those regions."""
        return [f"{self.root}/rois/{roi}_mask.json" for roi in self.study.config["craving"]["rois"]]

    def if_weighted(self, paths):
        """An input function: these paths if a region's value is weighted by grey matter, else none."""
        rois = self.study.config["rois"]
        return lambda wildcards: list(paths) if rois[wildcards.roi]["statistic"] == "gm_weighted" else []

    def left_out_rois(self):
        """The regions related to craving that are clusters of an analysis that can be repeated without a participant."""
        config = self.study.config
        found = []
        for roi in config.get("craving", {}).get("rois", []):
            analysis = config["analyses"].get(config["rois"][roi].get("analysis"), {})
            ordinary = analysis.get("method", "differences") == "differences" and not analysis.get("within")
            # The region is sought anew in the maps of the others: that, and what is read in it, is of the template.
            ordinary &= config["rois"][roi]["space"] == "template"
            if ordinary and analysis and KINDS[analysis["effect"]].one_column:
                found.append(roi)
        return found

    def left_out_values(self, wildcards):
        """Their values, each participant's from the region found without them."""
        return [f"{self.root}/rois/{roi}_leftout_values.tsv" for roi in self.left_out_rois()]

    def left_out_tests(self):
        """The tests of the whole procedure in those regions."""
        return [f"{self.root}/rois/{roi}_leftout_test.json" for roi in self.left_out_rois()]

    def of_defining(self, pattern):
        """An input function: a pattern with ``{analysis}`` for the analysis whose cluster a region is."""
        return lambda wildcards: pattern.replace("{analysis}", self.study.config["rois"][wildcards.roi]["analysis"])

    def defining_maps(self, which):
        """An input function: the maps of that analysis, as :meth:`session_maps`."""

        def paths(wildcards):
            name = self.study.config["rois"][wildcards.roi]["analysis"]
            return self.session_maps(which)(types.SimpleNamespace(analysis=name))

        return paths

    def defining_members(self, wildcards):
        """The members of that analysis."""
        name = self.study.config["rois"][wildcards.roi]["analysis"]
        return self.members(types.SimpleNamespace(analysis=name))["baseline"]

    def defining_inference(self, wildcards):
        """How that analysis forms its clusters."""
        inference = self.study.config["analyses"][self.study.config["rois"][wildcards.roi]["analysis"]]["inference"]
        return {name: inference[name] for name in ("cluster_forming_p", "neighbours")}

    def mediators(self, pattern):
        """A pattern with ``{roi}`` for each region of the craving mediation, once."""
        asked = self.study.config.get("craving", {}).get("mediation", {}).get("mediators", [])
        return [pattern.replace("{roi}", roi) for roi in dict.fromkeys(each["roi"] for each in asked)]

    def if_mediation(self, paths):
        """These paths if the configuration asks for a mediation, else none."""
        return list(paths) if self.study.config.get("craving", {}).get("mediation") else []

    def craving_table(self, wildcards):
        """The raw craving table."""
        return os.path.join(self.study.config["bids_dir"], self.study.config["craving"]["table"])

    def craving_ratings(self):
        """The settings of craving that say how the ratings are read."""
        craving = self.study.config.get("craving", {})
        return {key: craving[key] for key in _RATINGS if key in craving}

    def craving_without(self, *others):
        """The settings of craving for what reads the scores, without some that it does not look at; None without craving."""
        craving = self.study.config.get("craving")
        return craving and {key: value for key, value in craving.items() if key not in _SCORING.union(others)}

    def of_conjunction(self, pattern):
        """An input function: a pattern with ``{analysis}`` for every analysis of a conjunction."""
        return lambda wildcards: [
            pattern.replace("{analysis}", name) for name in self.study.config["conjunctions"][wildcards.conjunction]
        ]

    def of_conjunctions(self, pattern):
        """A pattern with ``{conjunction}`` for every conjunction."""
        return [pattern.replace("{conjunction}", name) for name in self.study.config["conjunctions"]]

    def of_analyses(self, pattern):
        """A pattern with ``{analysis}`` for every analysis, in the configuration's order."""
        return [pattern.replace("{analysis}", name) for name in self.study.config["analyses"]]

    def of_scans(self, pattern):
        """A pattern with ``{scan}`` for every scan, in order."""
        return [pattern.replace("{scan}", stem) for stem in self.study.scans]

    def declared_analyses(self):
        """The analyses among the primary and secondary answers, in their order."""
        return primary.of_analyses(self.study.config)

    def of_declared(self, pattern):
        """A pattern with ``{analysis}`` for each of those analyses."""
        return [pattern.replace("{analysis}", name) for name in self.declared_analyses()]

    def if_declared(self, kind, paths):
        """These paths if an answer that is declared needs them, else none.

        Parameters
        ----------
        kind : {"any", "endpoint", "correlation"}
        paths : list of str
        """
        config = self.study.config
        asked = config.get("primary") or {"answers": [], "secondary": []}
        names = [*asked["answers"], *asked["secondary"]]
        correlations = [primary.correlation(roi) for roi in config.get("craving", {}).get("rois", [])]
        wanted = {"any": names, "endpoint": [primary.CRAVING], "correlation": correlations}[kind]
        return list(paths) if any(name in wanted for name in names) else []

    def if_arms(self, paths):
        """These paths if the configuration has arms, else none."""
        return list(paths) if "arms" in self.study.config else []

    def if_craving(self, paths):
        """These paths if the configuration asks for craving, else none."""
        return list(paths) if "craving" in self.study.config else []

    def if_sensitivity(self, paths):
        """These paths if the configuration asks for a sensitivity analysis, else none."""
        return list(paths) if "sensitivity" in self.study.config else []

    def if_craving_rois(self, paths):
        """These paths if the configuration relates regions to craving, else none."""
        return list(paths) if self.study.config.get("craving", {}).get("rois") else []
