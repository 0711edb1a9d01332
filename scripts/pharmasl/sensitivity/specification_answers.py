"""The answers under one specification: what each regional test is made of, and the whole-brain result beside it.

Scans are judged, contrasts weighted and regions read by the functions of the main stages, so that the main specification
gives what the study gives.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np

from pharmasl.contrasts import contrast_maps
from pharmasl.endpoints import endpoint, regional_values
from pharmasl.errors import InputError
from pharmasl.files import bids, tables
from pharmasl.group import analysis, effects
from pharmasl.group.definitions import Question
from pharmasl.quality import implausible, judgement
from pharmasl.regions import region_values
from pharmasl.sensitivity import specifications
from pharmasl.space import images
from pharmasl.statistics import covariates, partial_correlation
from pharmasl.study import arms as study_arms
from pharmasl.study import settings
from pharmasl.study.effect_kinds import KINDS

log = logging.getLogger(__name__)


class _NotRunError(Exception):
    """Why an answer cannot be given under this specification."""


def write(given, path, plan, threads=1):
    """Write the answers under one specification.

    Parameters
    ----------
    given : dict
        Paths: ``maps`` (list: a visit's scans under the image alternative, in the order of the plan's visits),
        ``quality`` (list: the quality table of every scan), ``participants``, ``template_mask``, ``masks`` and
        ``sidecars`` (lists: of the plan's regions), ``gm`` (list: the template's probability of grey matter, or none),
        ``scores`` (list: the craving scores, or none).
    path : path-like
        JSON to write: ``specification``, ``main``, and ``answers``, a dict each. Of an answer, ``response``, ``tested``
        and ``nuisance`` are one item a participant; the answer is the coefficient of ``tested`` (``kind`` effect) or its
        partial correlation with the response (correlation).
    plan : dict
        As :func:`pharmasl.sensitivity.specifications.plan` gives.
    threads : int
    """
    with tempfile.TemporaryDirectory() as folder:
        tables.write_json(path, _Specification(given, plan, Path(folder), threads).content())


def judged(path, exclusion):
    """A scan's quality row, judged again.

    Parameters
    ----------
    path : path-like
        The scan's quality table.
    exclusion : dict
        ``rule``, as :func:`pharmasl.quality.judgement.rule` returns, and ``scans`` and
        ``accepted``: those excluded and accepted by name, to the reason.

    Returns
    -------
    dict
        The row, with ``usable`` and ``exclusion_reason`` by that rule.
    """
    (row,) = tables.read_table(path)
    own = exclusion["scans"].get(row["scan"])
    findings = judgement.Findings(
        flags=row["flags"].split(",") if row["flags"] else [],
        implausible=row["implausible"].split("; ") if row["implausible"] else [],
        pairs_used=int(float(row["pairs_used"])),
        pairs=int(float(row["pairs"])),
        left_out_by=row["left_out_by"],
        registration_accepted=row["registration"] == "accepted",
    )
    reasons = judgement.reasons(settings.build(settings.ScanRules, exclusion["rule"]), findings, own)
    accepted, without = exclusion["accepted"].get(row["scan"]), implausible.is_without_result(row)
    return {**row, **judgement.decide(reasons, own=own, accepted=accepted, without_result=without).row()}


def _volumes(path):
    """A visit's scans, volume by volume; an image of one is stored without the last axis."""
    data, affine = images.load(path)
    return (data if data.ndim == 4 else data[..., None]), affine


class _Specification:
    """The contrast maps and regional values of a specification, and the answers from them."""

    def __init__(self, given, plan, folder, threads):
        self.given, self.plan, self.folder, self.threads = given, plan, folder, threads
        people = tables.read_table(given["participants"], of_arms=True)
        self.table = study_arms.used(people, specifications.terms(plan))
        self.sidecars = {name: tables.read_json(each) for name, each in zip(plan["regions"], given["sidecars"])}
        self.masks = dict(zip(plan["regions"], given["masks"], strict=True))
        self.maps = self._contrast_maps()
        self.values, self.tables = self._regional_values()
        self.searched = {}

    def _contrast_maps(self):
        """(participant, session, contrast) to a map, as the contrast stage makes it."""
        rows = {row["scan"]: row for row in (judged(path, self.plan["exclusion"]) for path in self.given["quality"])}
        found = {}
        for number, (visit, path) in enumerate(zip(self.plan["visits"], self.given["maps"], strict=True)):
            volumes, affine = _volumes(path)
            if volumes.shape[3] != len(visit["scans"]):
                raise InputError(
                    path, "volumes", volumes.shape[3], f"{len(visit['scans'])}, one a scan", "Make the maps again."
                )
            for name, pairs in visit["contrasts"].items():
                quality = [
                    contrast_maps.JudgedScan(
                        scan=row["scan"], condition=row["condition"], is_usable=row["usable"] == "yes"
                    )
                    for row in (rows[visit["scans"][place]] for place, _ in pairs)
                ]
                kept = contrast_maps.usable_weights([weight for _, weight in pairs], quality)
                if kept is None:
                    effect = np.full(volumes.shape[:3], np.nan, dtype=np.float32)
                else:
                    taken = [k for k, row in enumerate(quality) if row.is_usable]
                    of = [volumes[..., pairs[k][0]] for k in taken]
                    covered = [np.isfinite(volume) for volume in of]
                    effect, _ = contrast_maps.combine(of, [], covered, [kept[k] for k in taken])
                # Not compressed: read several times, and soon gone.
                out = self.folder / f"{number}_{name}.nii"
                images.save(out, effect, affine)
                found[visit["participant_id"], visit["session_id"], name] = str(out)
        return found

    def _regional_values(self):
        """(region, contrast) to (participant, session) to CBF, and each region's table, as the group stage reads it."""
        contrasts = [
            region_values.VisitContrast(participant_id=who, session_id=session, arm=None, contrast=contrast)
            for who, session, contrast in self.maps
        ]
        gm = self.given["gm"][0] if self.given["gm"] else None
        paths = {}
        for name, statistic in self.plan["regions"].items():
            paths[name] = str(self.folder / f"{name}_values.tsv")
            region_values.write_values(
                paths[name],
                name,
                mask=self.masks[name],
                maps=list(self.maps.values()),
                contrasts=contrasts,
                statistic=statistic,
                minimum_coverage=self.plan["minimum_coverage"],
                gm=gm,
            )
        values = regional_values.read_values(list(paths.values()), self.given["sidecars"])
        return values.cbf, paths

    def content(self):
        """What is written."""
        return {
            "specification": self.plan["specification"],
            "main": self.plan["main"],
            "answers": [self._answer(part) for part in self.plan["answers"]],
        }

    def _answer(self, part):
        effect = part["analysis"] is not None
        told = {
            "answer": part["answer"],
            "kind": "effect" if effect else "correlation",
            "unit": KINDS[part["settings"]["effect"]].unit if effect else "1",
            "meaning": None,
            "roi": part["roi"],
            "contrast": part["contrast"],
            "analysis": part["analysis"],
            "defined_by_same_data": bool(self.sidecars[part["roi"]]["analysis_defined"]),
            "status": "run",
            "participants": [],
            "response": [],
            "tested": [],
            "nuisance": [],
            "exchange": "permute",
            "blocks": None,
            "whole_brain": None,
        }
        try:
            told |= self._effect(part) if effect else self._correlation(part)
        except (_NotRunError, InputError) as reason:
            told |= {"status": f"not run: {reason}", "meaning": _MEANING if not effect else part["settings"]["effect"]}
            return told
        if effect and part["inference"]:
            told["whole_brain"] = self._whole_brain(part)
        return told

    def _at(self, names, roi, contrast, session):
        """Values of a region at a session, (n,), NaN where missing."""
        participants = [bids.bare_label(name, "sub") for name in names]
        return regional_values.values_at(self.values.get((roi, contrast)), participants, session)

    def _change(self, names, roi, contrast, sessions):
        baseline, followup = (self._at(names, roi, contrast, sessions[name]) for name in ("baseline", "followup"))
        return followup - baseline

    def _effect(self, part):
        """The model of an analysis, of a region's value in place of a voxel's."""
        asked, sessions = settings.build(settings.ModelSettings, part["settings"]), part["sessions"]
        arms = settings.build(settings.Arms, self.plan["arms"])
        names = effects.members(asked, arms, part["members"], self.table)
        if "followup" in sessions:
            response = self._change(names, part["roi"], part["contrast"], sessions)
        else:
            response = self._at(names, part["roi"], part["contrast"], sessions["baseline"])
        known, seed = np.isfinite(response), None
        if asked.seed is not None:
            seed = self._change(names, asked.seed.roi, asked.seed.contrast, sessions)
            known &= np.isfinite(seed)
        if not known.any():
            seeded = "" if seed is None else " and of the seed"
            raise _NotRunError(f"no participant has a value of {part['roi']}{seeded}")
        names, seed = [name for name, k in zip(names, known) if k], None if seed is None else seed[known]
        design = effects.build(asked, arms, names, self.table, self.given["participants"], seed)
        response = dict(zip(names, response[known].tolist()))
        tested, nuisance = design.partition()
        return {
            "meaning": design.meaning,
            "participants": list(design.participants),
            "response": [response[name] for name in design.participants],
            "tested": tested.tolist(),
            "nuisance": nuisance.tolist(),
            "exchange": design.exchange,
            "blocks": None if design.blocks is None else design.blocks.tolist(),
        }

    def _correlation(self, part):
        """The change of cue-elicited craving and of a region's CBF, all participants, as the craving stage relates them."""
        names, arms = self.plan["craving"]["covariates"], settings.build(settings.Arms, self.plan["arms"])
        scores = endpoint.frame(
            covariates.with_values(tables.records(endpoint.read_scores(self.given["scores"][0])), names, self.table)
        )
        sessions = settings.build(settings.SessionPair, self.plan["sessions"])
        sample = regional_values.Sample(scores, names, arms, sessions)
        cbf, elicited = sample.paired(self.values.get((part["roi"], part["contrast"])), "change")
        chosen = sample.complete(cbf, elicited)
        adjusted = sample.adjustment(chosen, arms.treatment)
        x, y = cbf[chosen], elicited[chosen]
        least = max(partial_correlation.MINIMUM_N, len(adjusted) + 4)
        if len(x) < least:
            raise _NotRunError(f"{len(x)} participants with both values, fewer than {least}")
        if np.isnan(partial_correlation.partial_correlation(x, y, adjusted)):
            raise _NotRunError("a variable does not vary beyond what is adjusted for")
        return {
            "meaning": _MEANING,
            "participants": [f"sub-{name}" for name, k in zip(sample.participants, chosen) if k],
            "response": y.tolist(),
            "tested": x.tolist(),
            "nuisance": np.vstack([np.ones(len(x)), adjusted]).T.tolist(),
            # Participants are exchanged within arms.
            "blocks": (sample.arm[chosen] == arms.treatment).astype(int).tolist(),
        }

    def _whole_brain(self, part):
        """The analysis' whole-brain test: its smallest p, and those of the clusters that reach into the region."""
        found = self._search(part)
        if found is None:
            return None
        rows = {row["cluster"]: row["p_fwe_cluster"] for row in found.clusters}
        region = images.load(self.masks[part["roi"]], dtype=np.uint8)[0] > 0
        here = found.labels[region[found.mask]]
        touching = sorted(set(here[here > 0].tolist()), key=lambda label: (rows[label], label))
        sign = None
        if touching:
            sign = 1 if found.maps["t"][found.labels == touching[0]].mean() > 0 else -1
        return {
            "p_fwe_cluster_in_region": rows[touching[0]] if touching else None,
            "p_fwe_cluster_smallest": min(rows.values(), default=None),
            # The map holds logarithms; p is a share of the relabellings.
            "p_fwe_voxel_smallest": round(float(10.0 ** -found.maps["voxel_pfwe"].max()), 12),
            "sign_in_region": sign,
        }

    def _search(self, part):
        """What the analysis finds; None where it cannot be run. Several answers may share it."""
        name = part["analysis"]
        asked = settings.build(settings.Analysis, {"name": name, **part["settings"], "inference": part["inference"]})
        if name not in self.searched:
            members = dict.fromkeys(part["sessions"], part["members"])
            given = {
                which: [self.maps[each, part["sessions"][which], part["contrast"]] for each in names]
                for which, names in members.items()
            }
            given = {"baseline": [], "followup": [], **given}
            given |= {name: self.given[name] for name in ("participants", "template_mask")}
            given["seed"] = None if asked.seed is None else self.tables[asked.seed.roi]
            given["within"] = None if asked.within is None else self.masks[asked.within]
            question = Question(
                analysis=asked,
                arms=settings.build(settings.Arms, self.plan["arms"]),
                sessions=part["sessions"],
            )
            try:
                files = analysis.InputFiles(**given, members={"baseline": [], "followup": [], **members})
                self.searched[name] = analysis.find(question, files, threads=self.threads)
            except (analysis.NotRunError, InputError) as reason:
                log.warning("%s over the whole brain: not run: %s", name, reason)
                self.searched[name] = None
        return self.searched[name]


_MEANING = "correlation of the change of cue-elicited craving with the change of CBF, arm held fixed"
