"""The rules and the package that they import are of one checkout."""

import os

import pytest
from loading import ROOT


def other_checkout(folder):
    """The scripts' folder of a checkout with another package of that name."""
    package = folder / "other/scripts/pharmasl"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.0.9"\n')
    return package.parent


@pytest.mark.parametrize("snakefile", ["Snakefile", "rules/simulate.smk", "rules/power.smk"])
def test_another_package_on_the_path_is_refused_with_both_places(small, tmp_path, snakefile):
    scripts = other_checkout(tmp_path)
    small.environment["PYTHONPATH"] = str(scripts)
    done = small.snakemake("-n", snakefile=snakefile, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"pharmasl: found the package of {scripts / 'pharmasl'}, expected that of these rules" in text
    assert str(ROOT / "scripts/pharmasl") in text
    assert str(ROOT / "run") in text
    assert "Traceback" not in text


def test_another_package_loaded_before_the_rules_is_refused(small, tmp_path):
    """As by the logger of another checkout."""
    scripts = other_checkout(tmp_path)
    loaded = f"import sys; sys.path.insert(0, {str(scripts)!r}); import pharmasl; del sys.path[0], sys.argv[1:3]"
    small.python = [*small.python, "-c", f"{loaded}; import snakemake.cli as cli; cli.main()"]
    done = small.snakemake("-n", check=False)
    assert done.returncode == 1
    assert f"found the package of {scripts / 'pharmasl'}" in done.stdout + done.stderr


def test_its_own_package_and_folders_of_that_name_are_taken(small, tmp_path):
    (tmp_path / "clones/pharmasl").mkdir(parents=True)
    small.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "clones"), str(ROOT / "scripts")])
    assert "Writing the report" in small.snakemake("-n").stdout
