"""How a run was acquired: every value that quantification needs, each with where it came from."""

import os

import nibabel

from pharmasl import tables
from pharmasl.errors import InputError, InputErrors
from pharmasl.study import schemas

# The volumes that perfusion is computed from.
_PERFUSION = frozenset({"control", "label", "deltam"})


def resolve(dataset, asl, settings):
    """The acquisition of one run.

    Parameters
    ----------
    dataset : bids.Dataset
    asl : bids.File
        The run's image.
    settings : dict
        ``perfusion`` of the configuration.

    Returns
    -------
    acquisition : dict
        Plain values (seconds, tesla, mL/g) that JSON can hold; ``sources`` tells, for each, the file, the key of the
        configuration or the reference it was taken from.
    m0scan : bids.File or None
        The separate M0 image; None where M0 comes from elsewhere.

    Raises
    ------
    InputErrors
        With every problem of this run: a missing or impossible field, values that do not fit the images.
    """
    resolver = _Resolver(dataset, asl, settings)
    return resolver.resolve(), resolver.m0scan


class _Resolver:
    def __init__(self, dataset, asl, settings):
        self.asl, self.settings = asl, settings
        self.errors, self.sources = [], {}
        self.fields, self.origin = self._sidecar(dataset, asl, "asl")
        m0scan = self.m0scan = self._separate_m0(dataset) if self.fields.get("M0Type") == "Separate" else None
        self.m0_fields, self.m0_origin = self._sidecar(dataset, m0scan, "m0scan") if m0scan else ({}, {})
        self.context = dataset.metadata(asl, "aslcontext", ".tsv")
        self.sidecar_path = self._nearest(dataset, asl, "asl")

    @staticmethod
    def _nearest(dataset, image, suffix):
        found = dataset.metadata(image, suffix, ".json")
        return found[-1].path if found else image.path.removesuffix(image.extension) + ".json"

    def _sidecar(self, dataset, image, suffix):
        fields, origin = {}, {}
        for file in dataset.metadata(image, suffix, ".json"):
            try:
                content = tables.read_json(file.path)
            except ValueError as error:
                self._error(file.path, "(whole file)", str(error), "valid JSON", "Correct the file.")
                continue
            fields.update(content)
            origin.update(dict.fromkeys(content, file.path))
        if suffix == "asl":
            fields.update(self.settings["override"])
            origin.update(dict.fromkeys(self.settings["override"], "config perfusion.override"))
        return fields, origin

    def _separate_m0(self, dataset):
        """The M0 image that names the run, else the one with its entities, else the only one beside it."""
        asl = self.asl
        beside = [f for f in dataset.images("m0scan") if os.path.dirname(f.path) == os.path.dirname(asl.path)]
        intended = [file for file in beside if self._is_intended(dataset, file)]
        same = [file for file in beside if file.entities == asl.entities]
        for candidates in (intended, same, beside):
            if len(candidates) == 1:
                return candidates[0]
            if len(candidates) > 1:
                self._error(
                    asl.path, "m0scan", ", ".join(os.path.basename(file.path) for file in candidates),
                    "one M0 image for the run", "Name the run in IntendedFor of the right _m0scan.json.",
                )  # fmt: skip
                return None
        return None

    def _is_intended(self, dataset, m0scan):
        fields, _ = self._sidecar(dataset, m0scan, "m0scan")
        targets = fields.get("IntendedFor", [])
        # bids:: addresses, paths below the participant and bare names all end in the file's name.
        names = [
            str(target).replace(":", "/").rsplit("/", 1)[-1]
            for target in ([targets] if isinstance(targets, str) else targets)
        ]
        return os.path.basename(self.asl.path) in names

    def _error(self, *arguments):
        self.errors.append(InputError(*arguments))

    def _missing(self, field, expected, mend=None):
        self._error(
            self.sidecar_path, field, self.fields.get(field, "nothing"), expected,
            mend or f"Add {field} to the sidecar, or to perfusion.override in the configuration.",
        )  # fmt: skip

    def _take(self, key, field):
        """Record a value's source and return the value."""
        self.sources[key] = f"{field} of {self.origin[field]}"
        return self.fields[field]

    def resolve(self):
        schema_errors = schemas.check(self.fields, "asl", self.sidecar_path)
        if self.m0scan:
            required = {"ArterialSpinLabelingType", "PostLabelingDelay", "M0Type", "BackgroundSuppression"}
            schema_errors += [
                error
                for error in schemas.check(self.m0_fields, "asl", self._m0_path())
                if not (error.field in required and error.found == "nothing")
            ]
        self.errors += schema_errors
        volume_types = self._volume_types()
        if self.errors:
            raise InputErrors(self.errors)
        kind = self._take("labeling_type", "ArterialSpinLabelingType")
        acquisition = {
            "volume_types": volume_types,
            "labeling_type": kind,
            "labeling_duration": None
            if kind == "PASL"
            else self._per_volume("LabelingDuration", "labeling_duration", volume_types),
            "post_labeling_delay": self._per_volume("PostLabelingDelay", "post_labeling_delay", volume_types),
            **self._bolus(kind),
            "slice_timing": self._slice_timing(),
            "labeling_efficiency": self._efficiency(kind),
            "background_suppression": self._take("background_suppression", "BackgroundSuppression"),
            **self._m0(volume_types),
            "repetition_time": self._repetition_time(volume_types),
            **self._physics(),
        }
        if self.errors:
            raise InputErrors(self.errors)
        return {**acquisition, "sources": self.sources}

    def _m0_path(self):
        return self.m0scan.path.removesuffix(self.m0scan.extension) + ".json"

    def _volume_types(self):
        """The type of each volume: aslcontext.tsv against the image's number of volumes."""
        expected = "a table with the column volume_type and a row a volume"
        if not self.context:
            path = self.asl.path.removesuffix(f"_asl{self.asl.extension}") + "_aslcontext.tsv"
            self._error(
                path, "(whole file)", "no such file", expected, "Write it; without it label and control are unknown."
            )
            return []
        path = self.context[-1].path
        rows = tables.read_table(path)
        for number, row in enumerate(rows, start=2):
            self.errors += schemas.check(row, "aslcontext", path, prefix=f"line {number}, ")
        types = [row.get("volume_type") or "n/a" for row in rows]
        try:
            shape = nibabel.load(self.asl.path).shape
        except Exception as error:
            self._error(self.asl.path, "(image)", str(error), "a NIfTI image", "Convert or copy the image again.")
            return types
        volumes = shape[3] if len(shape) > 3 else 1
        self.n_slices = shape[2] if len(shape) > 2 else 1
        if len(types) != volumes:
            self._error(
                path,
                "volume_type",
                f"{len(types)} rows",
                f"{volumes}, one a volume of {self.asl.path}",
                "Correct the table.",
            )
        perfusion = {"control", "label"} <= set(types) or "deltam" in types
        if types and not perfusion:
            self._error(
                path, "volume_type", sorted(set(types)), "control and label, or deltam, volumes",
                "Correct the table; a run without them holds no perfusion signal that this workflow can quantify.",
            )  # fmt: skip
        return types

    def _values(self, field, value, volume_types, kinds):
        """The distinct values at volumes of some kinds, from one number or from one a volume; None if they do not fit."""
        if not isinstance(value, list):
            return {float(value)}
        if len(value) != len(volume_types):
            self._error(
                self.sidecar_path,
                field,
                f"{len(value)} values",
                f"{len(volume_types)}, one a volume",
                "Correct the array.",
            )
            return None
        return {float(v) for v, kind in zip(value, volume_types) if kind in kinds}

    def _per_volume(self, field, key, volume_types):
        """The one value of the labelled volumes."""
        if field not in self.fields:
            self._missing(field, "seconds, one number or one a volume")
            return None
        values = self._values(field, self._take(key, field), volume_types, _PERFUSION)
        if values is None:
            return None
        if len(values) != 1:
            self._error(
                self.sidecar_path, field, sorted(values), "the same value for every label and control volume",
                "Runs with several delays or durations are not quantified by this version: leave the run out.",
            )  # fmt: skip
            return None
        result = values.pop()
        if result <= 0:
            self._error(self.sidecar_path, field, result, "more than 0 s", "Correct the value; it is in seconds.")
        return result

    def _bolus(self, kind):
        none = {"bolus_cutoff_delay": None, "bolus_cutoff_technique": None}
        if kind != "PASL":
            return none
        technique = self.fields.get("BolusCutOffTechnique")
        if not self.fields.get("BolusCutOffFlag") or technique is None or "BolusCutOffDelayTime" not in self.fields:
            self._missing(
                "BolusCutOffFlag" if not self.fields.get("BolusCutOffFlag") else
                "BolusCutOffTechnique" if technique is None else "BolusCutOffDelayTime",
                "a bolus cut-off (QUIPSS, QUIPSS II or Q2TIPS) with its technique and delay: PASL without one has no known bolus duration",
            )  # fmt: skip
            return none
        self._take("bolus_cutoff_technique", "BolusCutOffTechnique")
        delay = self._take("bolus_cutoff_delay", "BolusCutOffDelayTime")
        first = float(min(delay)) if isinstance(delay, list) else float(delay)
        inversion = self.fields.get("PostLabelingDelay")
        if isinstance(inversion, (int, float)) and first >= inversion:
            self._missing(
                "BolusCutOffDelayTime",
                f"less than PostLabelingDelay ({inversion} s)",
                "Correct the value; it is in seconds.",
            )
        return {"bolus_cutoff_delay": first, "bolus_cutoff_technique": technique}

    def _slice_timing(self):
        if self.fields.get("MRAcquisitionType") == "3D" or "SliceTiming" not in self.fields:
            if self.fields.get("MRAcquisitionType") == "2D":
                self._missing("SliceTiming", "seconds, one a slice: the delay of a 2D readout grows slice by slice")
            self.sources["slice_timing"] = "none: one readout for all slices"
            return None
        timing = self._take("slice_timing", "SliceTiming")
        if len(timing) != self.n_slices:
            self._missing(
                "SliceTiming", f"{self.n_slices} values, one a slice of {self.asl.path}", "Correct the array."
            )
        return [float(t) for t in timing]

    def _efficiency(self, kind):
        if "LabelingEfficiency" in self.fields:
            return float(self._take("labeling_efficiency", "LabelingEfficiency"))
        self.sources["labeling_efficiency"] = f"config perfusion.labeling_efficiency.{kind}"
        return self.settings["labeling_efficiency"][kind]

    def _m0(self, volume_types):
        kind = self._take("m0_type", "M0Type")
        estimate = None
        if kind == "Separate" and self.m0scan is None and not any(error.field == "m0scan" for error in self.errors):
            self._missing(
                "M0Type", "an m0scan image beside the run",
                "Add the _m0scan image with IntendedFor naming the run, or correct M0Type.",
            )  # fmt: skip
        if kind == "Included" and "m0scan" not in volume_types:
            self._missing("M0Type", "an m0scan volume in aslcontext.tsv", "Correct M0Type or the table.")
        if kind == "Estimate":
            if "M0Estimate" not in self.fields:
                self._missing("M0Estimate", "the value of M0, in the units of the images")
            else:
                estimate = float(self._take("m0_estimate", "M0Estimate"))
        if kind == "Absent" and self.fields["BackgroundSuppression"]:
            self._missing(
                "M0Type", "an M0: with background suppression the control image cannot stand in for it",
                "Add an M0 scan, or give M0Type Estimate with M0Estimate.",
            )  # fmt: skip
        if kind == "Absent" and "control" not in volume_types:
            self._missing("M0Type", "an M0: without control volumes there is nothing in its place", "Add an M0 scan.")
        return {
            "m0_type": kind,
            "m0_estimate": estimate,
            "m0_repetition_time": self._m0_repetition_time(kind, volume_types),
        }

    def _m0_repetition_time(self, kind, volume_types):
        """TR of the M0 image; None where no T1 recovery applies."""
        if kind == "Estimate":
            self.sources["m0_repetition_time"] = "none: M0 is given as a number"
            return None
        if kind == "Separate":
            for field in ("RepetitionTimePreparation", "RepetitionTime"):
                value = self.m0_fields.get(field)
                if isinstance(value, list):
                    value = value[0] if len(set(value)) == 1 else None
                if value is not None:
                    self.sources["m0_repetition_time"] = f"{field} of {self.m0_origin[field]}"
                    return float(value)
            if self.m0scan:
                self._error(
                    self._m0_path(), "RepetitionTimePreparation", self.m0_fields.get("RepetitionTimePreparation", "nothing"),
                    "seconds, more than 0", "Add it: M0 must be corrected for incomplete recovery.",
                )  # fmt: skip
            return None
        wanted = "m0scan" if kind == "Included" else "control"
        return self._repetition_of({wanted}, volume_types, "m0_repetition_time")

    def _repetition_time(self, volume_types):
        return self._repetition_of(_PERFUSION, volume_types, "repetition_time")

    def _repetition_of(self, kinds, volume_types, key):
        for field in ("RepetitionTimePreparation", "RepetitionTime"):
            value = self.fields.get(field)
            if value is None:
                continue
            self._take(key, field)
            values = self._values(field, value, volume_types, kinds)
            return min(values) if values else None
        self._missing("RepetitionTimePreparation", "seconds, more than 0")
        return None

    def _physics(self):
        field = self.fields.get("MagneticFieldStrength")
        if field is None:
            self._missing("MagneticFieldStrength", "tesla: the T1 of blood depends on it")
            return {}
        strength = float(self._take("field_strength", "MagneticFieldStrength"))
        result = {"field_strength": strength, "partition_coefficient": self.settings["partition_coefficient"]}
        self.sources["partition_coefficient"] = "config perfusion.partition_coefficient"
        for key in ("t1_blood", "t1_tissue"):
            known = {float(tesla): t1 for tesla, t1 in self.settings[key].items()}
            # Scanners report 2.89 T or 2.9 T for what is sold as 3 T.
            nearest = min(known, key=lambda tesla: abs(tesla - strength))
            if abs(nearest - strength) > 0.15:
                self._missing(
                    "MagneticFieldStrength", f"one of {', '.join(f'{tesla:g}' for tesla in sorted(known))} T",
                    f"Add {strength:g} to perfusion.{key} in the configuration.",
                )  # fmt: skip
            result[key] = known[nearest]
            self.sources[key] = f"config perfusion.{key} at {nearest:g} T"
        return result
