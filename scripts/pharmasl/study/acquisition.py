"""How a run was acquired: every value that quantification needs, each with where it came from."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError, InputErrors
from pharmasl.files import bids
from pharmasl.study import (
    block_codes,
    blood_columns,
    context,
    echo_sum,
    echoes,
    field_maps,
    headers,
    m0,
    named_constants,
    opposed_images,
    phase_encoding,
    physiology,
    scan_acquisition,
    sidecar,
    summed_echoes,
    time_encoding,
    uncorrected,
)
from pharmasl.study.distortion import KINDS, Correction, Distortion
from pharmasl.study.field_reader import FieldReader
from pharmasl.study.settings import Encoding

# The volumes that perfusion is computed from.
_PERFUSION = frozenset({"control", "label", "deltam", scan_acquisition.ENCODED})
_FIELD_MAPS = frozenset({"phasediff", "phase1", "fieldmap", "epi"})


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What is known of one run.

    Attributes
    ----------
    acquisition : pharmasl.study.scan_acquisition.Acquisition
    m0scan : bids.File or None
        The separate M0 image; None where M0 comes from elsewhere.
    correction : pharmasl.study.distortion.Correction or None
        How its distortion is corrected; None where it is not.
    later_echoes, later_m0 : tuple of bids.File
        The files of the later echoes of the series and of the separate M0 image, where they are summed.
    """

    acquisition: scan_acquisition.Acquisition
    m0scan: bids.File | None
    correction: Correction | None
    later_echoes: tuple[bids.File, ...] = ()
    later_m0: tuple[bids.File, ...] = ()


def resolve(
    dataset: bids.Dataset,
    asl: bids.File,
    settings: Mapping[str, Any],
    participant: Mapping[str, str | None] | None = None,
    overrides: Sequence[sidecar.Override] = (),
    encodings: Sequence[Encoding] = (),
) -> Resolved:
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
    overrides : sequence of pharmasl.study.sidecar.Override
        Checked ones: fields that take the place of the sidecar's.
    encodings : sequence of pharmasl.study.settings.Encoding
        Checked ones, of time-encoded series.

    Returns
    -------
    Resolved

    Raises
    ------
    InputErrors
        With every problem of this run: a missing or impossible field, values that do not fit the images.
    """
    encoding = time_encoding.chosen(encodings, asl.entities)
    resolver = _Resolver(dataset, asl, settings, participant or {}, overrides, encoding)
    acquired = resolver.resolve()
    return Resolved(
        acquisition=acquired,
        m0scan=resolver.m0scan,
        correction=resolver.correction,
        later_echoes=resolver.later_echoes,
        later_m0=resolver.later_m0,
    )


class _Resolver(FieldReader):
    def __init__(self, dataset, asl, settings, participant, overrides, encoding):
        super().__init__(sidecar.overridden(sidecar.read(dataset, asl, "asl"), overrides, asl.entities))
        self.root, self.asl, self.settings, self.participant = dataset.root, asl, settings, participant
        self.dataset, self.correction, self.encoding, self.overrides = dataset, None, encoding, overrides
        # Of echoes that are summed: their times, the later files, and the volumes of each in one file.
        self.echo_times, self.later_echoes, self.later_m0, self.echo_volumes = (), (), (), None
        # The control of each pair stands in for whatever M0 there is.
        self.of_pair = settings["m0"]["source"] == "control"
        direction = self.fields.get("PhaseEncodingDirection")
        self.m0_choice = m0.Choice() if self.of_pair else m0.choose(dataset, asl, settings["echo"], direction)
        self.m0scan = self.m0_choice.image if self.fields.get("M0Type") == "Separate" else None
        self.m0_fields, self.m0_origin, self.m0_path, self.m0_refused = {}, {}, None, set()
        if self.m0scan:
            metadata = sidecar.read(dataset, self.m0scan, m0.SUFFIX)
            self.m0_path, self.m0_origin = metadata.path, metadata.origin
            self.errors += metadata.errors
            self.m0_fields, self.m0_refused = self._possible(metadata)
        self.fieldmaps = self._fieldmaps(dataset)
        self.context = dataset.metadata(asl, "aslcontext", ".tsv")
        self.series = None

    def _fieldmaps(self, dataset):
        """Names of the images by which this run's distortion could be corrected."""
        return sorted(
            os.path.basename(file.path)
            for file in dataset.images_of_visit(self.asl)
            if file.suffix in _FIELD_MAPS | {m0.SUFFIX}
            # An M0 image shows the distortion only if it was acquired in another direction.
            and (file.suffix != m0.SUFFIX or file.entities.get("dir") != self.asl.entities.get("dir"))
        )

    def resolve(self):
        volume_types = self._volume_types()
        # Of a series that the scanner quantified, nothing needs to be known but its units.
        computed = "cbf" in volume_types and not _PERFUSION & set(volume_types)
        if computed:
            self.m0scan = None
        if computed and self.echo_times:
            self._error(
                self.asl.path,
                "volume_type",
                "cbf",
                "controls and labels, or differences: what the scanner quantified of several echoes is not summed",
                f"Set {echoes.FIELD} to {echoes.FIRST}, or leave the run out.",
            )
        if self.m0scan:
            self._header(self.m0scan.path)
        if not (computed or self.fields or self.refused or self.unreadable or os.path.isfile(self.sidecar_path)):
            self._error(
                self.sidecar_path,
                "(whole file)",
                "no such file",
                "the run's sidecar",
                "Add it, or give its fields by perfusion.override in the configuration.",
            )
            self.unreadable = True
        self._unsupported()
        acquisition = {"volume_types": volume_types, "units": self.fields.get("Units")}
        if not computed:
            acquisition |= self._labeling(volume_types)
            acquisition["echoes"] = self._echo_sum(acquisition)
            acquisition["distortion"] = self._distortion(volume_types)
        acquisition["total_acquired_pairs"] = self.fields.get("TotalAcquiredPairs")
        acquisition["fieldmaps"] = self.fieldmaps
        if self.errors:
            raise InputErrors(self.errors)
        # Of the dataset's files by their place in it: where it lies says nothing of the scan.
        root = os.path.join(self.root, "")
        sources = {key: text.replace(root, "") for key, text in self.sources.items()}
        return scan_acquisition.build({**acquisition, "sources": sources})

    def _own_m0(self, volume_types):
        """The M0 that an image of opposed phase encoding may be compared with; None without any."""
        if self.m0scan:
            return opposed_images.Image(path=self.m0scan.path, fields=self.m0_fields, sidecar=self.m0_path)
        volumes = tuple(number for number, kind in enumerate(volume_types) if kind == "m0scan")
        if not volumes:
            return None
        return opposed_images.Image(path=self.asl.path, fields=self.fields, sidecar=self.sidecar_path, volumes=volumes)

    def _distortion(self, volume_types):
        """Why the run is not corrected for distortion, and how large that may be; None where it is corrected."""
        if self.settings["distortion"] == "off":
            return uncorrected.note("switched off", self.fields, self.series)
        if self.unreadable:
            return None
        stated = any(name in self.fields for name in phase_encoding.FIELDS)
        if self.fields.get("MRAcquisitionType") == "3D" and not stated:
            return uncorrected.note("a 3D readout whose phase encoding is not stated", self.fields, self.series)
        field_map, errors = field_maps.choose(
            self.dataset, self.asl, self.m0scan, self.fields, self.sidecar_path, self._own_m0(volume_types)
        )
        self.errors += errors
        if field_map is None:
            return uncorrected.note("no field map is meant for this run", self.fields, self.series)
        series = self._encoding(self.fields, self.sidecar_path, self.series)
        if series is not None and series.readout_time == 0:
            return self._undistorted()
        if self.series is not None:
            self.errors += field_maps.check_place(field_map, self.series)
        own = self._encoding(self.m0_fields, self.m0_path, self._header(self.m0scan.path)) if self.m0scan else None
        if series is not None and (own is not None or not self.m0scan):
            self.correction = Correction(distortion=Distortion(series=series, m0=own), field_map=field_map)
            self.sources["distortion"] = field_map.reason
            self.sources["field_map"] = KINDS[field_map.kind]
        return None

    def _undistorted(self):
        """The note of a run that is said to be read in no time."""
        if self.fields.get("MRAcquisitionType") == "2D":
            self._contradiction(
                "TotalReadoutTime",
                "more than 0 s of a 2D readout that has a field map",
                f"Correct the time, {field_maps.SWITCH_OFF}.",
            )
        return uncorrected.note("its TotalReadoutTime is 0 s", self.fields, self.series)

    def _encoding(self, fields, path, header):
        encoding, errors = phase_encoding.read(fields, path, header and header.shape)
        self.errors += errors
        return encoding

    def _unsupported(self):
        """Kinds of series that would be quantified wrongly."""
        self._misspelt()
        if self.fields.get("LookLocker"):
            self._contradiction(
                "LookLocker",
                "false or absent",
                "Look-Locker readouts are not quantified by this workflow: leave the run out.",
            )
        if self.encoding is None:
            for name in time_encoding.fields(self.fields):
                self._contradiction(
                    name,
                    "a series of controls and labels, or of differences",
                    f"Give the matrix of a time-encoded series by {time_encoding.FIELD}, or leave the run out.",
                )
        for fields, origin in ((self.fields, self.origin), (self.m0_fields, self.m0_origin)):
            times = fields.get("EchoTime")
            if isinstance(times, list) and len(set(times)) > 1:
                self._error(
                    origin["EchoTime"],
                    "EchoTime",
                    sorted(set(times)),
                    "one echo time for all volumes",
                    f"Set {echoes.FIELD} to first, which takes the first echo of a series, or to weighted, which sums them; give each "
                    "echo of a separate M0 in a file of its own; or leave the run out.",
                )

    def _labeling(self, volume_types):
        kind = self._need("labeling_type", "ArterialSpinLabelingType")
        suppressed = self._need("background_suppression", "BackgroundSuppression")
        pulses = self._suppression_pulses() if suppressed else None
        repetition = self._repetition_of(_PERFUSION, volume_types, "repetition_time")
        slices, axis = self._slice_timing()
        return {
            "labeling_type": kind,
            **self._times(kind, slices, repetition, volume_types),
            **self._bolus(kind),
            "slice_timing": slices,
            "slice_axis": axis,
            "background_suppression": suppressed,
            "suppression_pulses": pulses,
            "labeling_efficiency": self._efficiency(kind, pulses),
            **self._m0(volume_types),
            "repetition_time": min((time for time in repetition if time is not None), default=None),
            "echo_time": None if self.echo_times else self._echo_time(self.fields, "echo_time", self.origin),
            "m0_echo_time": None
            if self.echo_times
            else self._echo_time(self.m0_fields, "m0_echo_time", self.m0_origin),
            **self._physics(),
        }

    def _times(self, kind, slices, repetition, volume_types):
        """Labelling and delay: of each volume, or of each block of a time-encoded series."""
        if self.encoding is None:
            pulsed = kind in ("PASL", None)
            durations = None if pulsed else self._per_volume("LabelingDuration", "labeling_duration", volume_types)
            delays = self._per_volume("PostLabelingDelay", "post_labeling_delay", volume_types)
            self._fits(durations, delays, slices, repetition, volume_types)
            return {"labeling_duration": durations, "post_labeling_delay": delays}
        encoding = self.encoding
        self._fits(sum(encoding.durations), encoding.delay, slices, repetition, volume_types)
        self.sources |= dict.fromkeys(
            ("encoding", "labeling_duration", "post_labeling_delay"), f"{time_encoding.FIELD} of the configuration"
        )
        return {
            "labeling_duration": list(encoding.durations),
            "post_labeling_delay": block_codes.block_delays(encoding),
            "encoding": block_codes.signs(encoding),
            "encoding_checked": encoding.check,
            "encoding_confirmed": encoding.confirmed,
        }

    def _volume_types(self):
        """The type of each volume; empty where the table cannot be used."""
        self.series = self._header(self.asl.path)
        try:
            if not self.context:
                raise context.missing(self.asl)
            path = self.context[-1].path
            types = context.read(path, self.asl.path, self.series and self.series.volumes, self.encoding is not None)
        except InputError as error:
            self.errors.append(error)
            return []
        types = self._summed_echoes(types) if self.settings["echo"] == echoes.WEIGHTED else self._first_echo(types)
        if self.encoding is None:
            return types
        for field, expected, fix in time_encoding.contradictions(self.encoding, types, self.fields):
            if field == "volume_type":
                self._error(path, field, sorted(set(types)), expected, fix)
            else:
                self._contradiction(field, expected, fix)
        return time_encoding.volume_types(self.encoding, types)

    def _first_echo(self, types):
        """The types of volumes, without those of later echoes where the first is asked for."""
        if self.settings["echo"] != echoes.FIRST:
            return types
        number, times = echoes.count(self.dataset, self.asl), self.fields.get("EchoTime")
        if isinstance(times, list) and len(set(times)) > 1 and len(times) == len(types):
            types, number = echoes.types_of_first(types, times), len(set(times))
            self.fields["EchoTime"] = min(times)
        if number > 1:
            self.sources["echo"] = f"the first of {number} echoes ({echoes.FIELD})"
        return types

    def _summed_echoes(self, types):
        """The types of volumes, without those of later echoes, which are summed with the first."""
        files, times = echoes.together(self.dataset, self.asl), self.fields.get("EchoTime")
        if len(files) > 1:
            first = summed_echoes.Echo(
                file=self.asl,
                fields=self.fields,
                sidecar=self.sidecar_path,
                origin=self.origin,
                header=self.series,
                types=tuple(types),
            )
            own, errors = [first], []
            for file in files:
                if file.path != self.asl.path:
                    echo, problems = summed_echoes.read(self.dataset, file, self.overrides, self.encoding is not None)
                    own.append(echo)
                    errors += problems
            self.echo_times, unlike = summed_echoes.times(own) if not errors else ((), [])
            self.errors += [*errors, *unlike]
            self.later_echoes = tuple(echo.file for echo in own[1:])
        elif isinstance(times, list) and len(set(times)) > 1 and len(times) == len(types):
            try:
                self.echo_volumes = summed_echoes.volumes(types, times, self.origin["EchoTime"])
            except InputError as error:
                self.errors.append(error)
                self.fields["EchoTime"] = min(times)
                return types
            self.echo_times = tuple(float(time) for time in sorted(set(times)))
            types, self.fields["EchoTime"] = echoes.types_of_first(types, times), min(times)
        return types

    def _echo_sum(self, acquired):
        """How the echoes are summed; None where one is taken, or T2* is not known."""
        if not self.echo_times:
            return None
        if acquired["m0_type"] == "Estimate":
            self._contradiction(
                "M0Type",
                "an M0 that is an image: several echoes are summed, and a number is not of such a sum",
                f"Add an M0 scan of the same echoes, or set {echoes.FIELD} to {echoes.FIRST}.",
            )
        if self.m0scan and not any(error.file in (self.m0scan.path, self.m0_path) for error in self.errors):
            chosen = summed_echoes.Echo(
                file=self.m0scan,
                fields=self.m0_fields,
                sidecar=self.m0_path,
                origin=self.m0_origin,
                header=self._header(self.m0scan.path),
            )
            files, errors = summed_echoes.of_m0(self.dataset, chosen, self.echo_times)
            self.errors += errors
            self.later_m0 = files[1:]
            self.m0scan = files[0] if files else self.m0scan
        if acquired.get("t2_star") is None:
            return None
        times, t2_star = self.echo_times, acquired["t2_star"]
        self.sources["echo_times"] = "EchoTime of each echo"
        self.sources["echo_weights"] = f"{echo_sum.SOURCE}; T2* {1e3 * t2_star:g} ms ({self.sources['t2_star']})"
        self.sources["echo"] = f"the weighted sum of {len(times)} echoes ({echoes.FIELD})"
        return {"times": list(times), "weights": list(echo_sum.weights(times, t2_star)), "volumes": self.echo_volumes}

    def _header(self, path):
        """The header of a raw image; None, with its errors noted, where it cannot be used."""
        try:
            return headers.read(path)
        except InputErrors as several:
            self.errors += several.errors
            return None

    def _values(self, field, volume_types, kinds):
        """One value per volume, None at volumes of other kinds; a list of None if the array does not fit."""
        value = self.fields[field]
        values = value if isinstance(value, list) else [value] * len(volume_types)
        # Without a table of volumes, nothing can be said of an array.
        if volume_types and len(values) != len(volume_types):
            self._contradiction(
                field, f"{len(volume_types)} values, one per volume; found {len(values)}", "Correct the array."
            )
        if len(values) != len(volume_types) or field in self.refused:
            return [None] * len(volume_types)
        return [float(v) if kind in kinds else None for v, kind in zip(values, volume_types)]

    def _per_volume(self, field, key, volume_types):
        """The value of the volumes that perfusion is computed from: one number, or a list of one per volume."""
        if self._need(key, field) is None:
            return None
        values = self._values(field, volume_types, _PERFUSION)
        distinct = {value for value in values if value is not None}
        if not distinct:
            return None
        if min(distinct) <= 0:
            self._contradiction(
                field, "more than 0 s at controls, labels and differences", "Correct the value; it is in seconds."
            )
        lonely = [
            value
            for value in sorted(distinct)
            if len({kind for v, kind in zip(values, volume_types) if v == value} & {"control", "label"}) == 1
        ]
        if lonely:
            self._contradiction(
                field,
                f"the same for both of a pair, but {lonely[0]:g} s stands at controls or labels alone",
                "Correct the array, or the aslcontext.tsv.",
            )
        return distinct.pop() if len(distinct) == 1 else values

    def _fits(self, durations, delays, slices, repetition, volume_types):
        """Labelling, delay and the readout of all slices have to pass before the next volume begins."""
        count, latest = len(volume_types), max(slices or [0.0])
        durations, delays = (values if isinstance(values, list) else [values] * count for values in (durations, delays))
        field = self._repetition_field()
        for duration, delay, time in zip(durations, delays, repetition):
            if time is None:
                continue
            if latest >= time:
                self._contradiction(
                    "SliceTiming",
                    f"times below the repetition time, {time:g} s ({field})",
                    "Correct it; it is in seconds.",
                )
                return
            # Sidecars round: a hundredth of the time is no contradiction.
            if delay is not None and (duration or 0) + delay + latest > 1.01 * time:
                parts = {"LabelingDuration": duration, "PostLabelingDelay": delay, "SliceTiming": latest}
                needed = " + ".join(f"{name} {value:g}" for name, value in parts.items() if value)
                self._contradiction(
                    self._responsible(field, *parts),
                    f"{needed} s within {field} ({time:g} s)",
                    "Correct whichever is wrong; the latter is the time from one volume to the next.",
                )
                return

    def _bolus(self, kind):
        none = {"bolus_cutoff_delay": None, "bolus_cutoff_technique": None}
        if kind != "PASL":
            return none
        cut = self.fields.get("BolusCutOffFlag")
        if self.fields.get("PASLType") == "FAIR" and not cut:
            self.sources["bolus_cutoff_technique"] = (
                "FAIR without a bolus cut-off: the bolus is taken to last until the readout (assumed)"
            )
            return none
        if cut is False:
            self._contradiction(
                "BolusCutOffFlag",
                "a bolus cut-off, or PASLType FAIR",
                "How long the bolus of this run lasts is unknown, so that it cannot be quantified: leave the run out.",
            )
            return none
        needed = ("BolusCutOffFlag", "BolusCutOffTechnique", "BolusCutOffDelayTime")
        if [name for name in needed if self._need("", name) is None]:
            return none
        self.sources.pop("", None)
        technique = self._take("bolus_cutoff_technique", "BolusCutOffTechnique")
        delays = self._take("bolus_cutoff_delay", "BolusCutOffDelayTime")
        delays = [float(t) for t in (delays if isinstance(delays, list) else [delays])]
        inversion = self.fields.get("PostLabelingDelay")
        times = [t for t in (inversion if isinstance(inversion, list) else [inversion]) if t]
        # At inversion times before the cut-off the bolus is not cut yet, which the fit of several knows.
        if times and min(delays) >= max(times):
            self._contradiction(
                "BolusCutOffDelayTime",
                f"less than an inversion time (PostLabelingDelay: {max(times):g} s)",
                "Correct whichever is wrong; both are in seconds since the labelling pulse.",
            )
        return {"bolus_cutoff_delay": delays if len(delays) > 1 else delays[0], "bolus_cutoff_technique": technique}

    def _suppression_pulses(self):
        if "BackgroundSuppressionNumberPulses" in self.fields:
            return int(self._take("suppression_pulses", "BackgroundSuppressionNumberPulses"))
        if self.fields.get("BackgroundSuppressionPulseTime"):
            return len(self._take("suppression_pulses", "BackgroundSuppressionPulseTime"))
        self.sources["suppression_pulses"] = named_constants.source(self.settings, "suppression_pulses")
        return self.settings["suppression_pulses"]

    def _slice_timing(self):
        """The readout of each slice along the axis of the slices, and that axis."""
        kind = self._need("slice_timing", "MRAcquisitionType")
        if kind != "2D":
            self.sources["slice_timing"] = "none: one readout for all slices"
            return None, 2
        timing = self._need("slice_timing", "SliceTiming")
        if timing is None:
            return None, 2
        direction = self.fields.get("SliceEncodingDirection", "k")
        axis = "ijk".index(direction[0])
        if self.series is not None and len(timing) != self.series.shape[axis]:
            self._contradiction(
                "SliceTiming",
                f"{self.series.shape[axis]} values, one per slice along {direction[0]} of {self.asl.path}; found {len(timing)}",
                "Correct the array, or SliceEncodingDirection.",
            )
            return None, axis
        if "SliceEncodingDirection" in self.fields:
            self.sources["slice_timing"] += f", along {direction} (SliceEncodingDirection)"
        # With a minus sign the first time is that of the slice with the largest index (BIDS 1.11).
        times = [float(t) for t in timing]
        return (times[::-1] if direction.endswith("-") else times), axis

    def _efficiency(self, kind, pulses):
        """The share of the label's inversion at the readout: labelling, times the loss at each suppression pulse."""
        if "LabelingEfficiency" in self.fields:
            return float(self._take("labeling_efficiency", "LabelingEfficiency"))
        if kind is None:
            return None
        key = f"labeling_efficiency.{kind}"
        self.sources["labeling_efficiency"] = named_constants.source(self.settings, key)
        efficiency = self.settings["labeling_efficiency"][kind]
        if pulses:
            survival = self.settings["suppression_efficiency"]
            self.sources["labeling_efficiency"] += (
                f", times {survival:g} for each of {pulses} suppression pulses "
                f"({named_constants.source(self.settings, 'suppression_efficiency')})"
            )
            efficiency *= physiology.suppression_efficiency(pulses, survival)
        return efficiency

    def _m0(self, volume_types):
        if self.of_pair:
            kind = "Absent"
            self.sources["m0_type"] = named_constants.source(self.settings, "m0.source") + ": the control of each pair"
        else:
            kind = self._need("m0_type", "M0Type")
            self._m0_contradictions(kind, volume_types)
        estimate = float(self._need("m0_estimate", "M0Estimate") or 0) or None if kind == "Estimate" else None
        if kind == "Absent" and self.fields.get("BackgroundSuppression"):
            self._contradiction(
                "M0Type",
                "an M0: with background suppression the control image cannot stand in for it",
                "Set perfusion.m0.source to sidecar, or take the consensus calibration."
                if self.of_pair
                else "Add an M0 scan, or give M0Type Estimate with M0Estimate.",
            )
        if kind == "Absent" and volume_types and "control" not in volume_types:
            self._contradiction(
                "M0Type", "an M0: without control volumes there is nothing in its place", "Add an M0 scan."
            )
        return {
            "m0_type": kind,
            "m0_of_pair": self.of_pair,
            "m0_estimate": estimate,
            "m0_repetition_time": self._m0_repetition_time(kind, volume_types),
        }

    def _m0_contradictions(self, kind, volume_types):
        """Where M0Type and the files say different things, none of them is believed."""
        choice, included = self.m0_choice, "m0scan" in volume_types
        name = os.path.basename(choice.image.path) if choice.image else None
        if kind == "Separate":
            self.errors += choice.errors
            self.sources["m0_image"] = choice.reason
        if kind == "Separate" and choice.image is None and not choice.errors:
            meant = (
                f"; in IntendedFor, those beside it name other runs: {', '.join(choice.others)}"
                if choice.others
                else ""
            )
            self._contradiction(
                "M0Type",
                f"an m0scan image for the run{meant}",
                "Write M0Type Included: aslcontext.tsv has m0scan volumes."
                if included
                else "Add the _m0scan image, or name the run in its IntendedFor, or correct M0Type.",
            )
        if kind == "Included" and volume_types and not included:
            self._contradiction("M0Type", "an m0scan volume in aslcontext.tsv", "Correct M0Type or the table.")
        if kind == "Absent" and included:
            self._contradiction(
                "M0Type", "Included, as aslcontext.tsv has m0scan volumes", "Correct M0Type, or the table."
            )
        if kind == "Absent" and choice.image is not None and not included:
            self._contradiction("M0Type", f"Separate, as {name} is there ({choice.reason})", "Correct M0Type.")

    def _m0_repetition_time(self, kind, volume_types):
        """TR of the M0 image; None where no T1 recovery applies."""
        if kind == "Estimate":
            self.sources["m0_repetition_time"] = "none: M0 is given as a number"
            return None
        needed = self.settings["m0"]["t1_recovery"]
        if kind == "Separate":
            return self._separate_repetition_time(needed) if self.m0scan else None
        wanted = {"m0scan" if kind == "Included" else "control"}
        times = [time for time in self._repetition_of(wanted, volume_types, "m0_repetition_time") if time is not None]
        if needed and kind is not None and self._repetition_field() not in self.fields:
            self._missing("RepetitionTimePreparation", "seconds above 0, at most 60: M0 is corrected for its recovery")
        if needed and kind == "Included" and len(set(times)) > 1:
            self._several_m0_times(*self._place(self._repetition_field()), times)
        return min(times, default=None)

    def _separate_repetition_time(self, needed):
        for field in ("RepetitionTimePreparation", "RepetitionTime"):
            value = self.m0_fields.get(field)
            if value is None:
                continue
            values = value if isinstance(value, list) else [value]
            self.sources["m0_repetition_time"] = f"{field} of {self.m0_origin[field]}"
            if needed and len(set(values)) > 1:
                self._several_m0_times(self.m0_origin[field], field, values)
            return float(values[0]) if len(set(values)) == 1 else None
        unreadable = any(error.file == self.m0_path for error in self.errors)
        if needed and not unreadable and "RepetitionTimePreparation" not in self.m0_refused:
            typo = sidecar.misspelt("RepetitionTimePreparation", self.m0_fields)
            self._error(
                self.m0_path,
                "RepetitionTimePreparation",
                "nothing",
                "seconds above 0, at most 60",
                f"Is {typo} meant to be it? Rename it."
                if typo
                else "Add it: M0 is corrected for incomplete recovery, unless perfusion.m0.t1_recovery is false.",
            )
        return None

    def _several_m0_times(self, file, field, values):
        self._error(
            file,
            field,
            sorted(set(values)),
            "one repetition time for all M0 volumes",
            "A saturation recovery (M0 at several repetition times) is not fitted by this workflow: give the volumes of "
            "the longest time, or set perfusion.m0.t1_recovery to false.",
        )

    def _repetition_field(self):
        """The field that holds the repetition time."""
        alone = "RepetitionTime" in self.fields and "RepetitionTimePreparation" not in self.fields
        return "RepetitionTime" if alone else "RepetitionTimePreparation"

    def _repetition_of(self, kinds, volume_types, key):
        """The repetition time of each volume of these kinds; None at the others and where it is not known."""
        field = self._repetition_field()
        if field not in self.fields:
            return [None] * len(volume_types)
        self._take(key, field)
        return self._values(field, volume_types, kinds)

    def _echo_time(self, fields, key, origin):
        value = fields.get("EchoTime")
        if isinstance(value, list):
            value = value[0] if len(set(value)) == 1 else None
        if value is None:
            return None
        self.sources[key] = f"EchoTime of {origin['EchoTime']}"
        return float(value)

    def _physics(self):
        strength = self._need("field_strength", "MagneticFieldStrength")
        if strength is None:
            return {}
        strength = float(strength)
        result = {"field_strength": strength, "partition_coefficient": self.settings["partition_coefficient"]}
        self.sources["partition_coefficient"] = named_constants.source(self.settings, "partition_coefficient")
        measured, column = self._measured_t1()
        haematocrit, origin = self._haematocrit() if measured is None else (None, "")
        correction = self.settings["m0"]
        needed = {
            "t1_blood": haematocrit is None and measured is None,
            "t1_tissue": correction["t1_recovery"] and self.fields.get("M0Type") != "Estimate",
            "t2_star": bool(self.echo_times)
            or (
                correction["echo_time_correction"]
                and all(isinstance(fields.get("EchoTime"), (int, float)) for fields in (self.fields, self.m0_fields))
            ),
        }
        for key, wanted in needed.items():
            result[key] = self._by_field_strength(key, strength) if wanted else None
        if measured is not None:
            result["t1_blood"] = measured
            self.sources["t1_blood"] = f"measured, {column} of the participants' table"
        elif haematocrit is not None:
            try:
                result["t1_blood"] = physiology.blood_t1(haematocrit, strength)
            except ValueError as error:
                self._contradiction(
                    "MagneticFieldStrength", str(error), "Leave perfusion.haematocrit out: its formula ends there."
                )
            self.sources["t1_blood"] = f"haematocrit {haematocrit:g} of {origin} at {strength:g} T (Hales et al. 2016)"
        elif origin:
            self.sources["t1_blood"] += f"; {origin}"
        own = "measured" if measured is not None else "haematocrit" if haematocrit is not None else None
        return {**result, "haematocrit": haematocrit, "t1_blood_by": own}

    def _measured_t1(self):
        """The participant's measured T1 of blood, s, None where there is none, and the column that has it."""
        measured = self.settings["t1_blood_measured"]
        if measured is None:
            return None, ""
        value, column = blood_columns.value(self.participant, measured["column"], self.asl.entities.get("ses"))
        if value is None:
            return None, ""
        try:
            return physiology.measured_t1(value, measured["unit"]), column
        except ValueError as error:
            who = self.participant.get("participant_id")
            fix = "Correct the table, or perfusion.t1_blood_measured.unit."
            self._error("the participants' table", f"{column} of {who}", value, str(error), fix)
            return None, ""

    def _haematocrit(self):
        """The participant's haematocrit, None for the common T1 of blood, and where it comes from or why there is none."""
        column, norms = self.settings["haematocrit"], self.settings["haematocrit_norms"]
        value, field = None, column
        if column:
            value, field = blood_columns.value(self.participant, column, self.asl.entities.get("ses"))
        try:
            if value is not None:
                return physiology.haematocrit(value), "the participants' table"
            if norms is None:
                return None, ""
            age, sex = (self.participant.get(norms[name]) for name in ("age", "sex"))
            field, value = f"{norms['age']} and {norms['sex']}", f"{age}, {sex}"
            normal = physiology.normal_haematocrit(age, sex)
        except ValueError as error:
            who = self.participant.get("participant_id")
            self._error("the participants' table", f"{field} of {who}", value, str(error), "Correct the table.")
            return None, ""
        if normal is None:
            return None, f"no haematocrit: {physiology.NORMS_SOURCE} have none for age {age}, sex {sex}"
        return normal, f"{physiology.NORMS_SOURCE} for age {age}, sex {sex},"

    def _by_field_strength(self, key, strength):
        known = {float(tesla): t1 for tesla, t1 in self.settings[key].items()}
        # Scanners report 2.89 T or 2.9 T for what is sold as 3 T.
        nearest = min(known, key=lambda tesla: abs(tesla - strength))
        if abs(nearest - strength) > 0.15:
            self._contradiction(
                "MagneticFieldStrength",
                f"one of {', '.join(f'{tesla:g}' for tesla in sorted(known))} T",
                f"Add {strength:g} to perfusion.{key} in the configuration.",
            )
        self.sources[key] = f"{named_constants.source(self.settings, key)}; at {nearest:g} T"
        return known[nearest]
