"""Snakemake's cache of sources finds a script's copy once, and what is not on this machine as before."""

import pytest
from pharmasl.workflow import script_copies
from snakemake.sourcecache import GithubFile, LocalSourceFile, SourceCache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    cache = SourceCache(tmp_path / "cache")
    looked = []
    entry = cache._cache_entry
    monkeypatch.setattr(cache, "_cache_entry", lambda source: looked.append(str(source)) or entry(source))
    script_copies.remember(cache)
    cache.looked = looked
    return cache


def test_a_script_is_looked_up_once(cache, tmp_path):
    scripts = [tmp_path / name for name in ("a.py", "b.py")]
    for script in scripts:
        script.write_text(f"# {script.name}\n")
    for _ in range(3):
        for script in scripts:
            source = LocalSourceFile(str(script))
            assert cache.exists(source)
            assert cache.open(source).read() == f"# {script.name}\n"
            assert cache.get_path(source) != str(script)
    assert cache.looked == list(map(str, scripts))


def test_a_script_that_is_not_there_is_missed_each_time(cache, tmp_path):
    source = LocalSourceFile(str(tmp_path / "late.py"))
    assert not cache.exists(source)
    (tmp_path / "late.py").write_text("pass\n")
    assert cache.exists(source)


def test_a_source_of_elsewhere_is_looked_up_each_time(cache, monkeypatch):
    monkeypatch.setattr(GithubFile, "get_cache_path", lambda self: "remote/c.py")
    copy = cache.cache_path / "remote/c.py"
    copy.parent.mkdir(parents=True)
    copy.write_text("pass\n")
    source = GithubFile("owner/project", path="c.py", tag="v1")
    assert cache.exists(source)
    assert cache.exists(source)
    assert len(cache.looked) == 2


def test_another_version_of_the_cache_is_left_alone():
    bare = object()
    script_copies.remember(bare)
