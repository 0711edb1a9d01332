"""The scripts alternative_maps and specification on a tiny trial: the main specification beside the main stages."""

import dataclasses
from types import SimpleNamespace

import complete_settings
import numpy as np
import pytest
import skeleton
import statsmodels.api as sm
from loading import script
from pharmasl.contrasts import contrast_maps
from pharmasl.endpoints import correlations
from pharmasl.endpoints import scores as scoring
from pharmasl.files import tables
from pharmasl.group import analysis
from pharmasl.group.analysis_rows import InputFiles
from pharmasl.group.definitions import Question
from pharmasl.regions import region_masks, region_values
from pharmasl.sensitivity import specifications
from pharmasl.sensitivity.specification import ImageAlternative
from pharmasl.space import images
from pharmasl.study import settings, sheet_content
from scipy import ndimage

AFFINE = np.array([[-4.0, 0, 0, 26], [0, 4, 0, -26], [0, 0, 4, -22], [0, 0, 0, 1]])
SHAPE = (14, 14, 12)
PLACE, SEEDED = (9, 8, 6), (4, 6, 6)
PERMUTATIONS = 200


def mm(voxel):
    return (AFFINE[:3, :3] @ voxel + AFFINE[:3, 3]).tolist()


def ball(centre, radius):
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    return ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) <= radius**2


MASK = ball((6.5, 6.5, 5.5), 5.6)
CONFIG = {
    "rois": {
        "cluster": {"analysis": "rest_interaction", "cluster": 1},
        "voxel": {"sphere": mm(PLACE), "radius": 2},
        "seeded": {"sphere": mm(SEEDED), "radius": 7, "statistic": "median"},
        "outside": {"sphere": mm((0, 0, 0)), "radius": 3},
    },
    "craving": {
        "table": "phenotype/craving.tsv",
        "before": "craving_pre",
        "after": "craving_post",
        "rois": ["seeded"],
        "contrast": "cue",
        "covariates": ["age"],
        "resamples": 199,
    },
    "inference": {"permutations": PERMUTATIONS, "cluster_forming_p": 0.005, "statistics": ["extent", "tfce"]},
    "sensitivity": {
        "answers": {
            "cluster_rest": {"analysis": "rest_interaction", "roi": "cluster"},
            "voxel_rest": {"analysis": "rest_interaction", "roi": "voxel"},
            "seeded_cue": {"analysis": "seed_to_cue", "roi": "seeded"},
            "seeded_craving": {"roi": "seeded", "contrast": "cue"},
            "baseline": {"analysis": "baseline", "roi": "voxel"},
            "rise": {"analysis": "one_arm", "roi": "voxel"},
            "nowhere": {"analysis": "rest_interaction", "roi": "outside"},
        },
        "scaling": ["global"],
        "smoothing_fwhm": [0],
        "quality": {"strict": {"exclude": ["fd_mean"]}, "harsh": {"least_pairs": 9}},
        "covariates": {"none": [], "sex": ["sex"]},
        "permutations": PERMUTATIONS,
    },
}
ANALYSES = {
    "seed_to_cue": {
        "contrast": "cue",
        "effect": "association",
        "seed": {"roi": "voxel", "contrast": "rest"},
        "covariates": ["age"],
    },
    "baseline": {"contrast": "rest", "effect": "baseline_difference"},
    "one_arm": {"contrast": "rest", "effect": "within_arm", "arm": "baclofen"},
}


def scan_map(rng, person, session, condition, treated):
    """CBF of one scan: baclofen raises rest at PLACE, which lowers the response to smoking cues at SEEDED."""
    noise = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1) / 0.15
    cbf = 50 + 5 * person["level"] + 1.5 * noise
    if session == "T2":
        rise = person["rise"] + 24 * treated
        cbf += rise * ball(PLACE, 2) * (condition == "rest")
        cbf -= 0.8 * rise * ball(SEEDED, 2) * (condition == "smoking")
    return np.where(MASK, cbf, 0)


class Trial:
    """The study, its scans' maps, and what the main stages make of them."""

    def __init__(self, root):
        self.root, bids = root, skeleton.dataset(root / "bids", participants=14)
        config = skeleton.config(bids) | CONFIG
        config["analyses"].update(ANALYSES)
        rng = np.random.default_rng(8)
        people = {f"{k:02d}": {"level": rng.normal(), "rise": rng.normal(0, 8)} for k in range(1, 15)}
        lines = ["participant_id\tsession\tcraving_pre\tcraving_post"]
        for name, person in people.items():
            for session in ("T1", "T2"):
                felt = 30 + rng.normal(0, 1.5) + 1.2 * person["rise"] * (session == "T2")
                lines.append(f"sub-{name}\t{session}\t20\t{20 + felt:.3f}")
        (bids / "phenotype/craving.tsv").write_text("\n".join(lines) + "\n")
        self.study = complete_settings.read(config)
        self.template_mask = str(root / "mask.nii.gz")
        images.save(self.template_mask, MASK, AFFINE, dtype=np.uint8)
        content = sheet_content.content(self.study)
        self.participants = str(root / "participants.tsv")
        rows = content["participants"]
        tables.write_table(self.participants, rows, dict.fromkeys((name for row in rows for name in row), ""))
        self.cbf, self.coverage, self.quality = {}, {}, {}
        for stem, scan in self.study.scans.items():
            treated = self.study.participants[scan.subject]["arm"] == "baclofen"
            cbf = scan_map(rng, people[scan.subject], scan.session, scan.condition, treated)
            covered = MASK.copy()
            if scan.name == "sub-03_ses-T2_acq-smoking":
                covered[:, :, :3] = False
            self.cbf[stem] = self.save(f"{scan.name}_cbf", np.where(covered, cbf, 0))
            self.coverage[stem] = self.save(f"{scan.name}_coverage", covered, dtype=np.uint8)
            self.quality[stem] = self.judge(scan)
        self.maps = self.alternatives()

    def save(self, name, data, **options):
        path = str(self.root / f"{name}.nii.gz")
        images.save(path, data, AFFINE, **options)
        return path

    def judge(self, scan):
        moved = scan.name == "sub-05_ses-T1_acq-rest"
        # One scan of few pairs is excluded by the study's own rule.
        few = scan.name == "sub-10_ses-T2_acq-neutral"
        row = {
            "participant_id": f"sub-{scan.subject}",
            "session_id": scan.session,
            "condition": scan.condition,
            "scan": scan.name,
            "flags": "fd_mean:high" if moved else None,
            "pairs_used": 1 if few else 8,
            "pairs": 8,
            "registration": "accepted",
            "usable": "no" if few else "yes",
            "exclusion_reason": "few" if few else None,
            "left_out_by": None,
            "implausible": None,
            "gm_cbf": 50.0,
            "template_correlation": 0.5,
        }
        path = str(self.root / f"{scan.name}_quality.tsv")
        tables.write_table(path, [row], dict.fromkeys(row, ""))
        return path

    def alternatives(self):
        """Visit to the image of each image alternative, as the rule makes them."""
        wanted, found = specifications.image_alternatives(self.study.settings), {}
        for visit, scans in self.study.visits.items():
            outputs = [str(self.root / f"{'_'.join(visit)}_{number}.nii.gz") for number in range(len(wanted))]
            given = SimpleNamespace(
                cbf=[self.cbf[scan.stem] for scan in scans],
                coverage=[self.coverage[scan.stem] for scan in scans],
                grey=[],
                gm_cbf=[],
                gm=[],
                coregistration=[],
                forward=[],
                template_mask=self.template_mask,
            )
            params = SimpleNamespace(alternatives=[settings.plain(each) for each in wanted])
            script("alternative_maps").main(
                SimpleNamespace(input=given, output=SimpleNamespace(maps=outputs), params=params)
            )
            found[visit] = dict(zip(wanted, outputs))
        return found

    def main(self):
        """The main stages: contrasts, the analyses, regions, craving."""
        self.contrasts = {}
        own = specifications.image_alternatives(self.study.settings)[0]
        smooth = {}
        for visit, scans in self.study.visits.items():
            volumes = images.load(self.maps[visit][own])[0]
            for number, scan in enumerate(scans):
                smooth[scan.stem] = self.save(f"{scan.name}_smooth", np.nan_to_num(volumes[..., number]))
        for visit, name in self.study.available_contrasts():
            pairs = self.study.contrast_scans(visit, name)
            stems = [scan.stem for scan, _ in pairs]
            effect = str(self.root / f"{'_'.join(visit)}_{name}.nii.gz")
            contrast_maps.write_contrast(
                contrast_maps.ScanFiles(
                    maps=[smooth[stem] for stem in stems],
                    errors=[smooth[stem] for stem in stems],
                    coverages=[self.coverage[stem] for stem in stems],
                    quality=[self.quality[stem] for stem in stems],
                ),
                [weight for _, weight in pairs],
                None,
                effect_path=effect,
                error_path=str(self.root / "error.nii.gz"),
                sidecar_path=str(self.root / "contrast.json"),
            )
            self.contrasts[(*visit, name)] = effect
        self.found = {"rest_interaction": self.analyse("rest_interaction")}
        self.masks, self.sidecars, self.values = {}, {}, {}
        for name, values in self.study.config["rois"].items():
            region = settings.build(settings.Region, {"name": name, **values})
            self.masks[name] = str(self.root / f"{name}_mask.nii.gz")
            self.sidecars[name] = str(self.root / f"{name}_mask.json")
            clusters = [self.found["rest_interaction"].clusters]
            # One region lies where no map has data, which these tests are to meet: to its writer all is brain.
            everywhere = str(self.root / "everywhere.nii.gz")
            grid = images.grid(self.template_mask)
            images.save(everywhere, np.ones(grid.shape), grid.affine, dtype=np.uint8)
            region_masks.write_mask(
                self.masks[name],
                self.sidecars[name],
                region.definition,
                reference=self.template_mask,
                brain=everywhere,
                minimum_coverage=0.5,
                clusters=clusters,
            )
            self.values[name] = str(self.root / f"{name}_values.tsv")
            region_values.write_values(
                self.values[name],
                name,
                mask=self.masks[name],
                maps=list(self.contrasts.values()),
                contrasts=[
                    region_values.VisitContrast(
                        participant_id=f"sub-{subject}", session_id=session, arm=None, contrast=contrast
                    )
                    for subject, session, contrast in self.contrasts
                ],
                statistic=region.statistic,
                minimum_coverage=0.5,
            )
        self.found["seed_to_cue"] = self.analyse("seed_to_cue")
        config = self.study.config
        self.scores, self.related = str(self.root / "scores.tsv"), str(self.root / "roi_craving.tsv")
        table = self.study.config["bids_dir"] + "/phenotype/craving.tsv"
        scoring.write_scores(
            table,
            self.participants,
            self.scores,
            complete_settings.craving(settings.Ratings, **config["craving"]),
            settings.build(settings.Sessions, config["sessions"]),
            settings.build(settings.Arms, config["arms"]),
        )
        correlations.write_correlations(
            self.scores,
            [self.values["seeded"]],
            [self.sidecars["seeded"]],
            self.related,
            complete_settings.craving(settings.RegionCorrelations, **config["craving"]),
            settings.build(settings.Arms, config["arms"]),
            settings.build(settings.Sessions, config["sessions"]),
        )

    def analyse(self, name):
        config = self.study.config
        folder = self.root / name
        folder.mkdir()
        output = SimpleNamespace(
            **{each: str(folder / f"{each}.nii.gz") for each in (*analysis.MAPS, "mask", "clusters")},
            design=str(folder / "design.tsv"),
            null=str(folder / "null.tsv"),
            inference=str(folder / "inference.json"),
        )
        asked, members = config["analyses"][name], self.study.members(name)
        sessions = self.study.analysis_sessions(name)
        paths = {
            which: [self.contrasts[member, label, asked["contrast"]] for member in members]
            for which, label in sessions.items()
        }
        analysis.run(
            Question(
                analysis=settings.build(settings.Analysis, {"name": name, **asked}),
                arms=settings.build(settings.Arms, config["arms"]),
                sessions=sessions,
            ),
            InputFiles(
                **paths,
                members={which: [f"sub-{member}" for member in members] for which in sessions},
                participants=self.participants,
                template_mask=self.template_mask,
                seeds=[self.values[asked["seed"]["roi"]]] if "seed" in asked else [],
            ),
            output,
            statistic="t",
        )
        return output

    def specify(self, relative=None, **values):
        """The answers under a specification, by name, as the rule gives them; ``relative`` to how contrasts are scaled."""
        main = specifications.all_choices(self.study.settings)[0]
        chosen = dataclasses.replace(main, **values)
        key = settings.narrowed(ImageAlternative, chosen)
        regions = specifications.regions(self.study.settings)
        given = SimpleNamespace(
            maps=[self.maps[visit][key] for visit in self.study.visits],
            quality=list(self.quality.values()),
            participants=self.participants,
            template_mask=self.template_mask,
            gm=[],
            scores=[self.scores],
            masks=[self.masks[name] for name in regions],
            sidecars=[self.sidecars[name] for name in regions],
        )
        path = str(self.root / "answers.json")
        specification = dataclasses.replace(specifications.specification(self.study, chosen), relative=relative or {})
        params = SimpleNamespace(specification=settings.plain(specification))
        script("specification").main(
            SimpleNamespace(input=given, output=SimpleNamespace(answers=path), params=params, threads=1)
        )
        content = tables.read_json(path)
        assert content["specification"] == dataclasses.asdict(chosen)
        return content["main"], {part["answer"]: part for part in content["answers"]}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    found = Trial(tmp_path_factory.mktemp("tiny"))
    found.main()
    return found


@pytest.fixture(scope="module")
def main(tiny):
    is_main, answers = tiny.specify()
    assert is_main
    return answers


def regressed(part):
    """The tested variable's coefficient and t, by an independent program."""
    columns = np.column_stack([part["tested"], part["nuisance"]])
    fit = sm.OLS(np.array(part["response"]), columns).fit()
    return fit.params[0], fit.tvalues[0]


def test_the_main_specification_repeats_the_analysis_voxel_by_voxel(tiny, main):
    part, found = main["voxel_rest"], tiny.found["rest_interaction"]
    effect, t = (images.load(getattr(found, name))[0][PLACE] for name in ("effect", "t"))
    assert regressed(part) == pytest.approx((effect, t), rel=1e-5)
    design = tables.read_table(found.design)
    assert part["participants"] == [row["participant_id"] for row in design]
    assert (part["kind"], part["exchange"], part["blocks"], part["status"]) == ("effect", "permute", None, "run")
    assert part["meaning"] == "change of baclofen minus change of placebo"
    assert effect > 10


def test_the_effect_in_the_studys_own_cluster_is_its_tables(tiny, main):
    (cluster, *_) = tables.read_json(tiny.found["rest_interaction"].inference)["clusters"]
    assert regressed(main["cluster_rest"])[0] == pytest.approx(cluster["effect_mean"], rel=1e-5)
    assert main["cluster_rest"]["defined_by_same_data"]
    assert not main["voxel_rest"]["defined_by_same_data"]


@pytest.mark.parametrize(("answer", "name"), [("cluster_rest", "rest_interaction"), ("seeded_cue", "seed_to_cue")])
def test_the_main_specifications_whole_brain_p_are_the_analysis(tiny, main, answer, name):
    found, whole = tiny.found[name], main[answer]["whole_brain"]
    clusters = tables.read_json(found.inference)["clusters"]
    assert whole["p_fwe_cluster_smallest"] == min(row["p_fwe_cluster"] for row in clusters)
    labels = images.load(found.clusters, dtype=np.int16)[0]
    here = set(labels[images.load(tiny.masks[main[answer]["roi"]])[0] > 0]) - {0}
    assert here
    assert whole["p_fwe_cluster_in_region"] == min(row["p_fwe_cluster"] for row in clusters if row["cluster"] in here)
    voxel = images.load(found.voxel_pfwe)[0]
    assert whole["p_fwe_voxel_smallest"] == pytest.approx(10 ** -float(np.nanmax(voxel)), rel=1e-6)
    assert whole["sign_in_region"] == (1 if name == "rest_interaction" else -1)


def test_the_main_specifications_correlation_is_the_craving_stages_row(tiny, main):
    part = main["seeded_craving"]
    (row,) = [
        row
        for row in tables.read_table(tiny.related)
        if (row["timing"], row["group"], row["method"], row["region_of"]) == ("change", "all", "pearson", "all")
    ]
    nuisance = np.array(part["nuisance"])
    x, y = (sm.OLS(np.array(part[name]), nuisance).fit().resid for name in ("tested", "response"))
    assert np.corrcoef(x, y)[0, 1] == pytest.approx(float(row["estimate"]), rel=1e-9)
    assert len(part["participants"]) == int(row["n"]) == 13
    assert nuisance.shape == (13, 3)
    assert part["kind"] == "correlation"
    # Participants are exchanged within their arms.
    arm = {row["participant_id"]: row["arm"] for row in tables.read_table(tiny.participants)}
    assert part["blocks"] == [int(arm[name] == "baclofen") for name in part["participants"]]
    assert part["whole_brain"] is None


def test_the_global_alternative_is_the_contrast_of_relative_cbf(tiny):
    _, scaled = tiny.specify(scaling="global")
    wanted = settings.Scaling(scaling="proportional", reference="brain")
    _, relative = tiny.specify(relative={"rest": wanted, "cue": wanted})
    for name in ("voxel_rest", "seeded_cue", "baseline"):
        assert relative[name]["response"] == scaled[name]["response"]
        assert relative[name]["tested"] == scaled[name]["tested"]
    _, grey = tiny.specify(relative={"rest": settings.Scaling(scaling="additive", reference="brain")})
    assert np.ptp(np.subtract(grey["voxel_rest"]["response"], relative["voxel_rest"]["response"])) > 1


def test_baseline_and_one_arm(tiny, main):
    values = {
        (row["participant_id"], row["session_id"]): float(row["cbf"])
        for row in tables.read_table(tiny.values["voxel"])
        if row["contrast"] == "rest"
    }
    part = main["baseline"]
    assert part["response"] == [values[name, "T1"] for name in part["participants"]]
    part = main["rise"]
    assert part["exchange"] == "flip"
    assert len(part["participants"]) == 7
    change = np.mean([values[name, "T2"] - values[name, "T1"] for name in part["participants"]])
    assert regressed(part)[0] == pytest.approx(change, rel=1e-9)


def test_a_region_that_nothing_covers_is_told_not_raised(main):
    part = main["nowhere"]
    assert part["status"] == "not run: no participant has a value of outside"
    assert part["participants"] == part["response"] == part["tested"] == part["nuisance"] == []


def test_a_stricter_rule_leaves_out_those_it_excludes(tiny, main):
    is_main, strict = tiny.specify(quality="strict")
    assert not is_main
    for name in ("voxel_rest", "baseline"):
        assert set(main[name]["participants"]) - set(strict[name]["participants"]) == {"sub-05"}
    # The scan that moved is of rest at T1: the cue's seed needs it, craving does not.
    assert "sub-05" in main["seeded_cue"]["participants"]
    assert "sub-05" not in strict["seeded_cue"]["participants"]
    assert strict["seeded_craving"] == main["seeded_craving"]
    kept = [k for k, name in enumerate(main["voxel_rest"]["participants"]) if name != "sub-05"]
    assert strict["voxel_rest"]["response"] == [main["voxel_rest"]["response"][k] for k in kept]


def test_a_rule_that_leaves_nobody_gives_no_answer_and_does_not_fail(tiny):
    _, harsh = tiny.specify(quality="harsh")
    assert all(part["status"].startswith("not run: ") for part in harsh.values())
    assert all(part["whole_brain"] is None for part in harsh.values())


def test_covariates_take_the_place_of_the_analysis_own_and_of_cravings(tiny, main):
    _, none = tiny.specify(covariates="none")
    _, sex = tiny.specify(covariates="sex")
    for answers, columns in ((none, (1, 2)), (main, (2, 3)), (sex, (2, 3))):
        assert np.shape(answers["voxel_rest"]["nuisance"])[1] == columns[0]
        assert np.shape(answers["seeded_craving"]["nuisance"])[1] == columns[1]
    assert sex["voxel_rest"]["response"] == main["voxel_rest"]["response"]
    assert sex["voxel_rest"]["nuisance"] != main["voxel_rest"]["nuisance"]
    sexes = {row["participant_id"]: row["sex"] for row in tables.read_table(tiny.participants)}
    coded = [row[2] for row in sex["seeded_craving"]["nuisance"]]
    assert coded == [float(sexes[name] == "M") for name in sex["seeded_craving"]["participants"]]


def absolute(fwhm):
    return ImageAlternative(scaling="absolute", smoothing_fwhm=fwhm, partial_volume="false")


def test_global_scaling_divides_each_scan_by_its_brains_mean(tiny):
    _, scaled = tiny.specify(scaling="global")
    part = scaled["voxel_rest"]
    values = {}
    for visit in tiny.study.visits:
        rest = images.load(tiny.maps[visit][absolute("6")])[0][..., 1].astype(float)
        values[visit] = 50 * rest[PLACE] / rest[MASK].mean()
    expected = [values[name[4:], "T2"] - values[name[4:], "T1"] for name in part["participants"]]
    np.testing.assert_allclose(part["response"], expected, rtol=1e-4)


def test_an_associations_seed_is_read_again(tiny, main):
    _, rough = tiny.specify(smoothing_fwhm="0")
    for answers, fwhm in ((main, "6"), (rough, "0")):
        part = answers["seeded_cue"]
        at = {
            (visit[0], visit[1]): images.load(tiny.maps[visit][absolute(fwhm)])[0][..., 1][PLACE]
            for visit in tiny.study.visits
        }
        names = [name.removeprefix("sub-") for name in part["participants"]]
        seed = np.array([float(at[name, "T2"]) - float(at[name, "T1"]) for name in names])
        np.testing.assert_allclose(part["tested"], seed - seed.mean(), rtol=1e-4, atol=1e-4)
    assert "sub-10" not in main["seeded_cue"]["participants"]
    assert regressed(main["seeded_cue"])[0] < 0


def test_without_the_whole_brain_nothing_is_searched(tiny, monkeypatch):
    config = {**tiny.study.config, "sensitivity": {**tiny.study.config["sensitivity"], "whole_brain": False}}
    monkeypatch.setattr(tiny, "study", dataclasses.replace(tiny.study, config=config))
    monkeypatch.setattr(analysis, "find", None)
    _, answers = tiny.specify()
    assert all(part["whole_brain"] is None for part in answers.values())
    assert answers["voxel_rest"]["status"] == "run"


def test_the_same_bytes_twice(tiny):
    tiny.specify()
    before = (tiny.root / "answers.json").read_bytes()
    tiny.specify()
    assert (tiny.root / "answers.json").read_bytes() == before
