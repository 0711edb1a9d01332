"""How a run was acquired: every value that quantification needs, each with where it came from."""

import os

from pharmasl import physiology, tables
from pharmasl.errors import InputError, InputErrors
from pharmasl.study import calibrations, headers, schemas

# The volumes that perfusion is computed from.
_PERFUSION = frozenset({"control", "label", "deltam"})
# The fields that a run whose CBF the scanner computed, and an M0 image, can do without.
_LABELING = frozenset({"ArterialSpinLabelingType", "PostLabelingDelay", "M0Type", "BackgroundSuppression"})
_FIELD_MAPS = frozenset({"phasediff", "phase1", "fieldmap", "epi"})


def resolve(dataset, asl, settings, participant=None):
    """The acquisition of one run.

    Parameters
    ----------
    dataset : bids.Dataset
    asl : bids.File
        The run's image.
    settings : dict
        ``perfusion`` of the configuration.
    participant : dict, optional
        Row of the participants' table, for the haematocrit.

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
    resolver = _Resolver(dataset, asl, settings, participant or {})
    return resolver.resolve(), resolver.m0scan


class _Resolver:
    def __init__(self, dataset, asl, settings, participant):
        self.asl, self.settings, self.participant = asl, settings, participant
        self.errors, self.sources = [], {}
        self.fields, self.origin = self._sidecar(dataset, asl, "asl")
        # The control of each pair stands in for whatever M0 there is.
        self.of_pair = settings["m0"]["source"] == "control"
        separate = self.fields.get("M0Type") == "Separate" and not self.of_pair
        m0scan = self.m0scan = self._separate_m0(dataset) if separate else None
        self.fieldmaps = self._fieldmaps(dataset)
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
        beside = dataset.images_beside(asl, "m0scan")
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

    def _fieldmaps(self, dataset):
        """Names of the images by which this run's distortion could be corrected."""
        return sorted(
            os.path.basename(file.path)
            for file in dataset.images_of_visit(self.asl)
            if file.suffix in _FIELD_MAPS | {"m0scan"}
            # An M0 image tells of the distortion only if it was acquired in another direction.
            and (file.suffix != "m0scan" or file.entities.get("dir") != self.asl.entities.get("dir"))
        )

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
        volume_types = self._volume_types()
        # Of a series that the scanner quantified, nothing needs to be known but its units.
        computed = "cbf" in volume_types and not _PERFUSION & set(volume_types)
        self._check_schema(self.fields, self.sidecar_path, optional=_LABELING if computed else ())
        if self.m0scan:
            self._header(self.m0scan.path)
            self._check_schema(self.m0_fields, self._m0_path(), optional=_LABELING)
        if self.fields.get("LookLocker"):
            self._error(
                self.sidecar_path, "LookLocker", True, "false or absent",
                "Look-Locker readouts are not quantified by this workflow: leave the run out.",
            )  # fmt: skip
        if self.errors:
            raise InputErrors(self.errors)
        acquisition = {"volume_types": volume_types, "units": self.fields.get("Units")}
        acquisition |= dict.fromkeys(_LABELED) if computed else self._labeling(volume_types)
        acquisition["total_acquired_pairs"] = self.fields.get("TotalAcquiredPairs")
        acquisition["fieldmaps"] = self.fieldmaps
        if self.errors:
            raise InputErrors(self.errors)
        return {**acquisition, "sources": self.sources}

    def _check_schema(self, fields, path, optional):
        self.errors += [
            error
            for error in schemas.check(fields, "asl", path)
            if not (error.field in optional and error.found == "nothing")
        ]

    def _labeling(self, volume_types):
        kind = self._take("labeling_type", "ArterialSpinLabelingType")
        suppressed = self._take("background_suppression", "BackgroundSuppression")
        pulses = self._suppression_pulses() if suppressed else None
        return {
            "labeling_type": kind,
            "labeling_duration": None
            if kind == "PASL"
            else self._per_volume("LabelingDuration", "labeling_duration", volume_types),
            "post_labeling_delay": self._per_volume("PostLabelingDelay", "post_labeling_delay", volume_types),
            **self._bolus(kind, volume_types),
            "slice_timing": self._slice_timing(),
            "background_suppression": suppressed,
            "suppression_pulses": pulses,
            "labeling_efficiency": self._efficiency(kind, pulses),
            **self._m0(volume_types),
            "repetition_time": self._repetition_time(volume_types),
            "echo_time": self._echo_time(self.fields, "echo_time", self.origin),
            "m0_echo_time": self._echo_time(self.m0_fields, "m0_echo_time", self.m0_origin),
            **self._physics(),
        }

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
        series = self._header(self.asl.path)
        if series is None:
            return types
        self.n_slices = series.shape[2]
        if len(types) != series.volumes:
            self._error(
                path,
                "volume_type",
                f"{len(types)} rows",
                f"{series.volumes}, one a volume of {self.asl.path}",
                "Correct the table.",
            )
        perfusion = {"control", "label"} <= set(types) or {"deltam", "cbf"} & set(types)
        if types and not perfusion:
            self._error(
                path, "volume_type", sorted(set(types)), "control and label, deltam, or cbf volumes",
                "Correct the table; a run without them holds no perfusion signal that this workflow can quantify.",
            )  # fmt: skip
        return types

    def _header(self, path):
        """The header of a raw image; None, with its errors noted, where it cannot be used."""
        try:
            return headers.read(path)
        except InputErrors as several:
            self.errors += several.errors
            return None

    def _values(self, field, value, volume_types, kinds):
        """One value a volume, None at volumes of other kinds; None altogether if the array does not fit."""
        values = value if isinstance(value, list) else [value] * len(volume_types)
        if len(values) != len(volume_types):
            self._error(
                self.sidecar_path,
                field,
                f"{len(values)} values",
                f"{len(volume_types)}, one a volume",
                "Correct the array.",
            )
            return None
        return [float(v) if kind in kinds else None for v, kind in zip(values, volume_types)]

    def _per_volume(self, field, key, volume_types):
        """The value of the volumes that perfusion is computed from: one number, or a list of one a volume."""
        if field not in self.fields:
            self._missing(field, "seconds, one number or one a volume")
            return None
        values = self._values(field, self._take(key, field), volume_types, _PERFUSION)
        if values is None:
            return None
        distinct = {value for value in values if value is not None}
        if min(distinct) <= 0:
            self._error(
                self.sidecar_path, field, min(distinct), "more than 0 s", "Correct the value; it is in seconds."
            )
        lonely = [
            value
            for value in sorted(distinct)
            if len({kind for v, kind in zip(values, volume_types) if v == value} & {"control", "label"}) == 1
        ]
        if lonely:
            self._error(
                self.sidecar_path, field, f"{lonely[0]:g} s for controls or for labels alone", "the same for both of a pair",
                "Correct the array, or the aslcontext.tsv.",
            )  # fmt: skip
        return distinct.pop() if len(distinct) == 1 else values

    def _bolus(self, kind, volume_types):
        none = {"bolus_cutoff_delay": None, "bolus_cutoff_technique": None}
        if kind != "PASL":
            return none
        inversion = self.fields.get("PostLabelingDelay")
        times = [t for t in inversion if t > 0] if isinstance(inversion, list) else [inversion]
        if self.fields.get("PASLType") == "FAIR" and not self.fields.get("BolusCutOffFlag"):
            self.sources["bolus_cutoff_technique"] = (
                "FAIR without a bolus cut-off: the bolus is taken to last until the readout (assumed)"
            )
            return none
        technique = self.fields.get("BolusCutOffTechnique")
        if not self.fields.get("BolusCutOffFlag") or technique is None or "BolusCutOffDelayTime" not in self.fields:
            self._missing(
                "BolusCutOffFlag" if not self.fields.get("BolusCutOffFlag") else
                "BolusCutOffTechnique" if technique is None else "BolusCutOffDelayTime",
                "a bolus cut-off (QUIPSS, QUIPSS II or Q2TIPS) with its technique and delay: PASL without one has no "
                "known bolus duration, unless it is FAIR",
            )  # fmt: skip
            return none
        self._take("bolus_cutoff_technique", "BolusCutOffTechnique")
        delays = self._take("bolus_cutoff_delay", "BolusCutOffDelayTime")
        delays = [float(t) for t in (delays if isinstance(delays, list) else [delays])]
        if times and min(delays) >= min(times):
            self._missing(
                "BolusCutOffDelayTime",
                f"less than PostLabelingDelay ({min(times):g} s)",
                "Correct the value; it is in seconds.",
            )
        return {"bolus_cutoff_delay": delays if len(delays) > 1 else delays[0], "bolus_cutoff_technique": technique}

    def _suppression_pulses(self):
        if "BackgroundSuppressionNumberPulses" in self.fields:
            return int(self._take("suppression_pulses", "BackgroundSuppressionNumberPulses"))
        if self.fields.get("BackgroundSuppressionPulseTime"):
            return len(self._take("suppression_pulses", "BackgroundSuppressionPulseTime"))
        self.sources["suppression_pulses"] = calibrations.source(self.settings, "suppression_pulses")
        return self.settings["suppression_pulses"]

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

    def _efficiency(self, kind, pulses):
        """The share of the label's inversion at the readout: labelling, times the loss at each suppression pulse."""
        if "LabelingEfficiency" in self.fields:
            return float(self._take("labeling_efficiency", "LabelingEfficiency"))
        key = f"labeling_efficiency.{kind}"
        self.sources["labeling_efficiency"] = calibrations.source(self.settings, key)
        efficiency = self.settings["labeling_efficiency"][kind]
        if pulses:
            each = self.settings["suppression_efficiency"]
            self.sources["labeling_efficiency"] += (
                f", times {each:g} for each of {pulses} suppression pulses "
                f"({calibrations.source(self.settings, 'suppression_efficiency')})"
            )
            efficiency *= physiology.suppression_efficiency(pulses, each)
        return efficiency

    def _m0(self, volume_types):
        kind = "Absent" if self.of_pair else self._take("m0_type", "M0Type")
        if self.of_pair:
            self.sources["m0_type"] = calibrations.source(self.settings, "m0.source") + ": the control of each pair"
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
                "Set perfusion.m0.source to sidecar, or take the consensus calibration."
                if self.of_pair
                else "Add an M0 scan, or give M0Type Estimate with M0Estimate.",
            )  # fmt: skip
        if kind == "Absent" and "control" not in volume_types:
            self._missing("M0Type", "an M0: without control volumes there is nothing in its place", "Add an M0 scan.")
        return {
            "m0_type": kind,
            "m0_of_pair": self.of_pair,
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
            values = [v for v in self._values(field, value, volume_types, kinds) or () if v is not None]
            return min(values) if values else None
        self._missing("RepetitionTimePreparation", "seconds, more than 0")
        return None

    def _echo_time(self, fields, key, origin):
        value = fields.get("EchoTime")
        if not isinstance(value, (int, float)):
            # Several echoes have no one time by which an M0 could be corrected.
            return None
        self.sources[key] = f"EchoTime of {origin['EchoTime']}"
        return float(value)

    def _physics(self):
        field = self.fields.get("MagneticFieldStrength")
        if field is None:
            self._missing("MagneticFieldStrength", "tesla: the T1 of blood depends on it")
            return {}
        strength = float(self._take("field_strength", "MagneticFieldStrength"))
        result = {"field_strength": strength, "partition_coefficient": self.settings["partition_coefficient"]}
        self.sources["partition_coefficient"] = calibrations.source(self.settings, "partition_coefficient")
        haematocrit = self._haematocrit()
        m0 = self.settings["m0"]
        needed = {
            "t1_blood": haematocrit is None,
            "t1_tissue": m0["t1_recovery"] and self.fields["M0Type"] != "Estimate",
            "t2_star": m0["echo_time_correction"]
            and all(isinstance(fields.get("EchoTime"), (int, float)) for fields in (self.fields, self.m0_fields)),
        }
        for key, wanted in needed.items():
            result[key] = self._by_field_strength(key, strength) if wanted else None
        if haematocrit is not None:
            try:
                result["t1_blood"] = physiology.blood_t1(haematocrit, strength)
            except ValueError as error:
                self._missing(
                    "MagneticFieldStrength", str(error), "Leave perfusion.haematocrit out: its formula ends there."
                )
            self.sources["t1_blood"] = (
                f"haematocrit {haematocrit:g} of the participants' table at {strength:g} T (Hales et al. 2016)"
            )
        return {**result, "haematocrit": haematocrit}

    def _haematocrit(self):
        column = self.settings["haematocrit"]
        value = self.participant.get(column) if column else None
        if value is None:
            return None
        try:
            return physiology.haematocrit(value)
        except ValueError as error:
            self._error(
                "the participants' table", f"{column} of {self.participant.get('participant_id')}", value, str(error),
                "Correct the table.",
            )  # fmt: skip
            return None

    def _by_field_strength(self, key, strength):
        known = {float(tesla): t1 for tesla, t1 in self.settings[key].items()}
        # Scanners report 2.89 T or 2.9 T for what is sold as 3 T.
        nearest = min(known, key=lambda tesla: abs(tesla - strength))
        if abs(nearest - strength) > 0.15:
            self._missing(
                "MagneticFieldStrength", f"one of {', '.join(f'{tesla:g}' for tesla in sorted(known))} T",
                f"Add {strength:g} to perfusion.{key} in the configuration.",
            )  # fmt: skip
        self.sources[key] = f"{calibrations.source(self.settings, key)}; at {nearest:g} T"
        return known[nearest]


# What is not known of a series that the scanner quantified.
_LABELED = (
    "labeling_type", "labeling_duration", "post_labeling_delay", "bolus_cutoff_delay", "bolus_cutoff_technique",
    "slice_timing", "background_suppression", "suppression_pulses", "labeling_efficiency", "m0_type", "m0_of_pair",
    "m0_estimate", "m0_repetition_time", "repetition_time", "echo_time", "m0_echo_time", "field_strength",
    "partition_coefficient", "t1_blood", "t1_tissue", "t2_star", "haematocrit",
)  # fmt: skip
