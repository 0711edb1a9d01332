"""Sphinx configuration of the API pages: python -m sphinx -W -b html docs FOLDER (no network is needed)."""

import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

project = "pharmasl"
author = "the pharmasl authors"
extensions = ["sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["*.md"]  # pages to be read where they lie
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "description": "From raw arterial spin labelling to a trial's answers"}

# Packages that only their own environments have.
autodoc_mock_imports = ["ants", "onnx", "torch"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
smartquotes = False
html_copy_source = False

# numpydoc compiles its template again for each docstring, which takes a fifth of the build.
TEMPLATES = SandboxedEnvironment(loader=FileSystemLoader(Path(docscrape_sphinx.__file__).parent / "templates"))
docscrape_sphinx.SandboxedEnvironment = lambda **_: TEMPLATES


class Room(SphinxDirective):
    """The modules of a folder of the package, each with its public functions and classes: ``.. room:: space``."""

    required_arguments = 1

    def run(self):
        """The nodes of the modules' pages."""
        name = self.arguments[0]
        lines = [f".. automodule:: pharmasl.{name.replace('/', '.')}", "   :no-index:", ""]
        for path in sorted((ROOT / "scripts/pharmasl" / name).glob("*.py")):
            if path.name != "__init__.py":
                title = f"pharmasl.{name.replace('/', '.')}.{path.stem}"
                lines += [title, "-" * len(title), "", f".. automodule:: {title}", "   :members:", ""]
        section = nodes.section()
        section.document = self.state.document
        source = str(self.env.doc2path(self.env.docname))
        self.state.nested_parse(StringList(lines, source=source), 0, section, match_titles=1)
        return section.children


def bars(app, what, name, obj, options, lines):
    """Keep the bars of ``|t|`` outside of literals from being read as a substitution."""
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[number] = "``".join(parts)


def setup(app):
    """Add the directive and the reading of bars."""
    app.add_directive("room", Room)
    app.connect("autodoc-process-docstring", bars, priority=900)  # after numpydoc
