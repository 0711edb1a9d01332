"""Folders of other programs' results: which program made them, in which version, as their own description says."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pharmasl.errors import InputError, nearest_path
from pharmasl.files import json_object
from pharmasl.study.derivatives import Program, Source

DESCRIPTION = "dataset_description.json"


@dataclass(frozen=True, kw_only=True)
class DerivativeDataset:
    """A folder of another program's results.

    Attributes
    ----------
    root : str
        The folder.
    name : str or None
        Name of the dataset, where it describes itself.
    program : Program
        Which program made it, in which version.
    bids_version : str or None
        Where it describes itself.
    """

    root: str
    name: str | None
    program: Program
    bids_version: str | None

    @property
    def words(self) -> str:
        """The program with its version, as a sentence names it."""
        return f"{self.program.name} {self.program.version}"


def read(source: Source, field: str) -> DerivativeDataset:
    """A folder of another program's results, as it describes itself or as the configuration does.

    Parameters
    ----------
    source : Source
    field : str
        The setting that names it, such as ``derivatives.cbf``.

    Returns
    -------
    DerivativeDataset

    Raises
    ------
    InputError
        If the folder is absent; if its ``dataset_description.json`` is missing and the configuration does not name the
        program, is damaged, is that of raw data, or names no program or version; if both name one.
    """
    if not os.path.isdir(source.dir):
        raise InputError(
            "config",
            f"{field}.dir",
            source.dir,
            "an existing folder",
            nearest_path(source.dir, "Correct the path: it is relative to the folder you run in."),
        )
    path = os.path.join(source.dir, DESCRIPTION)
    if not os.path.lexists(path):
        return _undescribed(source, field, path)
    description = json_object.read(path)
    if str(description.get("DatasetType", "derivative")).casefold() != "derivative":
        raise InputError(
            path,
            "DatasetType",
            description["DatasetType"],
            "derivative",
            f"Point {field}.dir at the results of the program, not at the data that it read.",
        )
    return DerivativeDataset(
        root=source.dir,
        name=_text(description, "Name"),
        program=_program(description, source, field, path),
        bids_version=_text(description, "BIDSVersion"),
    )


def _undescribed(source: Source, field: str, path: str) -> DerivativeDataset:
    if source.generated_by is None:
        raise InputError(
            path,
            "(whole file)",
            "no such file",
            "the description of a BIDS-derivatives dataset",
            f"Point {field}.dir at the folder that holds it, or name the program by {field}.generated_by: "
            "{name: ..., version: ...}.",
        )
    return DerivativeDataset(root=source.dir, name=None, program=source.generated_by, bids_version=None)


def _program(description: Mapping[str, Any], source: Source, field: str, path: str) -> Program:
    """The program that made a dataset: its own words, or the configuration's where it has none."""
    made = description.get("GeneratedBy", description.get("PipelineDescription"))
    # A list since BIDS 1.4, of which the first made the files; drafts had one object under another name.
    first = made[0] if isinstance(made, list) and made else made
    stated = {key: _text(first, key) for key in ("Name", "Version")} if isinstance(first, Mapping) else {}
    name, version = stated.get("Name"), stated.get("Version")
    if name and version:
        if source.generated_by not in (None, Program(name=name, version=version)):
            raise InputError(
                "config",
                f"{field}.generated_by",
                f"{source.generated_by.name} {source.generated_by.version}",
                f"{name} {version}, as {path} says",
                f"Leave {field}.generated_by out.",
            )
        return Program(name=name, version=version)
    if source.generated_by is None:
        raise InputError(
            path,
            "GeneratedBy",
            "a name without a version" if name else "no program",
            "name and version of the program that made the dataset",
            f"Point {field}.dir at the results of a program, or name it by {field}.generated_by: "
            "{name: ..., version: ...}.",
        )
    return source.generated_by


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return str(value).strip() or None if isinstance(value, str | int | float) else None
