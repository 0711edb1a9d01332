"""The scripts of the maps depth, one after the other, in voxels of 8 mm; and the page that shows what they counted."""

from types import SimpleNamespace

import drawn_studies
import numpy as np
import pytest
from loading import script
from pharmasl.commands import planned_study, power
from pharmasl.files import tables
from pharmasl.study import maps_depth
from pharmasl.study.map_assumptions import Shares
from pharmasl.study.settings import plain

STUDIES = 4


class Inputs(dict):
    """Names with files, as Snakemake gives."""

    __getattr__ = dict.__getitem__


def run(name, folder, inputs, outputs, **params):
    snakemake = SimpleNamespace(
        input=Inputs(inputs),
        output=SimpleNamespace(**outputs),
        params=SimpleNamespace(**params),
        log=[str(folder / "log")],
    )
    script(name).main(snakemake)


@pytest.fixture(scope="module")
def assumed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planned")
    maps = {**drawn_studies.GOOD["maps"], "voxel_size": 8, "relabellings": 100, "models": [], "studies": 20}
    effect = {"value": 14, "source": "assumed"}
    path = drawn_studies.write(folder, maps=maps, output_dir="power", **drawn_studies.outcome(effect=effect))
    return path, *planned_study.read(path)


@pytest.fixture(scope="module")
def ground(assumed, tmp_path_factory):
    _, assumptions, study = assumed
    folder = tmp_path_factory.mktemp("ground")
    planned = maps_depth.read(assumptions, study)[0]
    run("power_brain", folder, {}, {"mask": str(folder / "brain.nii.gz")}, voxel_size=8)
    run(
        "power_ground",
        folder,
        {"brain": str(folder / "brain.nii.gz")},
        {"ground": str(folder / "ground.npz")},
        places=plain(planned.ground),
        atlas=plain(study.atlas),
        minimum_coverage=study.minimum_roi_coverage,
    )
    return folder / "ground.npz"


def counted(folder, planned, ground, per_job):
    """The table of so many studies a job."""
    shares = Shares(studies=STUDIES, studies_per_job=per_job)
    files = [str(folder / f"studies-{job}.tsv") for job in range(1, shares.jobs + 1)]
    for job, file in enumerate(files, 1):
        own = {"first": shares.first(job), "studies": shares.of_job(job)}
        run("power_studies", folder, {"ground": ground}, {"table": file}, planned=plain(planned), **own)
    outputs = {"table": str(folder / "maps.tsv"), "assumptions": str(folder / "maps_assumptions.json")}
    params = {"planned": [plain(planned)], "shares": plain(shares)}
    run("power_maps", folder, {"grounds": [ground], "tables": files}, outputs, **params)
    return folder / "maps.tsv"


def test_the_same_bytes_however_studies_are_shared_among_jobs(assumed, ground, tmp_path):
    planned = maps_depth.read(*assumed[1:])[0]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = (counted(tmp_path / name, planned, ground, number) for name, number in (("one", 4), ("two", 3)))
    assert first.read_bytes() == second.read_bytes()
    rows = tables.read_table(first)
    assert {row["studies"] for row in rows} == {str(STUDIES)}
    # 2 effects, 3 places, 2 scalings, 1 model; 6 tests in the place and 4 anywhere.
    assert len(rows) == 2 * 3 * 2 * 10
    assert all(float(row["power_low"]) <= float(row["power"]) <= float(row["power_high"]) for row in rows)
    own = [row for row in rows if row["test"] == "region" and row["effect"] == "14.0" and row["scaling"] == "absolute"]
    assert [row["planned_place"] for row in own] == ["yes", "no", "no"]
    assert np.isclose(float(own[0]["sd"]), 11)
    assert float(own[0]["closed_form"]) > 0.99
    # A smaller sphere is less of a mean: it varies more.
    assert float(own[1]["sd"]) > 11 > float(own[2]["sd"])


def test_the_page_shows_the_maps_of_its_own_assumptions_alone(assumed, ground, tmp_path, monkeypatch):
    path, assumptions, study = assumed
    monkeypatch.chdir(tmp_path)
    planned = maps_depth.read(assumptions, study)[0]
    (tmp_path / "power").mkdir()
    counted(tmp_path / "power", planned, ground, 4)
    power.main([path])
    # Four studies are not the twenty that are assumed.
    assert "Over the whole brain" not in (tmp_path / "power/power.html").read_text()
    monkeypatch.setattr(power.map_power_table, "is_of", lambda drawn, planned, studies: True)
    power.main([path])
    page = (tmp_path / "power/power.html").read_text()
    assert "Over the whole brain" in page
    assert "4 studies of 21 + 22 people" in page
    assert "anything significant anywhere in the brain" in page
    figure = (tmp_path / "power/maps.svg").read_text()
    # A panel for each scaling, both in the page too; a line for each test of the planned region.
    assert figure.count('class="panel"') == 2
    assert "one: absolute, change" in figure
    assert "one: scaled, change" in page
    assert all(f">{name}</tspan>" in figure for name in ("Region", "Wrong place", "Parcels", "Voxel", "Extent"))
    assert "TFCE" not in figure
