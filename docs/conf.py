"""Sphinx configuration of the site: python -m sphinx -W -b html docs FOLDER (no network is needed)."""

import re
import shutil
import sys
from pathlib import Path
from textwrap import wrap

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
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pharmasl"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

# Packages that only their own environments have.
autodoc_mock_imports = ["ants", "onnx", "torch"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
smartquotes = False

# Files that lie elsewhere, and the pages that show them.
SHOWN = {
    "config/README.md": "input",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "README.md": "index",
}
# The page of the demo, of a checkout in which it was run: the site then carries it.
EXAMPLE = ROOT / "demo/results/report"

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


def listed(match):
    """A graph's arrows as lines of text, those from one place together."""
    arrows = {}
    for start, end in re.findall(r"^\s*(.+?) --> (.+)$", match.group(1), re.MULTILINE):
        arrows.setdefault(start.replace(" & ", ", "), []).append(end.replace(" & ", ", "))
    width = max(map(len, arrows))
    indent = "\n" + " " * (width + 4)
    lines = [f"{start:<{width}} -> {indent.join(wrap(', '.join(ends), 100 - width))}" for start, ends in arrows.items()]
    return "\n".join(["```text", *lines, "```"])


def as_page(app, name, source):
    """Show files that lie outside of this folder, and turn links to them into links to pages or downloads."""
    if name.startswith("api/"):
        return
    text = source[0]
    folder = ROOT / "docs"
    for path, page in SHOWN.items():
        if page == name and name != "index":
            text, folder = (ROOT / path).read_text(encoding="utf-8"), (ROOT / path).parent

    def link(match):
        words, target = match.groups()
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return match.group(0)
        whole = (folder / path).resolve()
        inside = whole.relative_to(ROOT).as_posix()
        if inside in SHOWN:
            return f"[{words}]({SHOWN[inside]}.md)"
        if whole.is_relative_to(ROOT / "docs"):
            return f"[{words}]({whole.relative_to(ROOT / 'docs').as_posix()}{'#' + heading if heading else ''})"
        return f"{{download}}`{words.replace('`', '')} </../{inside}>`" if whole.is_file() else words

    text = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, text)
    # Drawn where the files are read on a forge; lists here, as drawing takes a program from elsewhere.
    source[0] = re.sub(r"```mermaid\n(.*?)```", listed, text, flags=re.DOTALL)
    if name == "example" and EXAMPLE.is_dir():
        source[0] += '\nThe whole page: <a href="demo_report/index.html">open it</a>.\n'


def with_example(app, error):
    """Add the demo's page, and those of its scans."""
    if error is None and app.builder.name == "html" and EXAMPLE.is_dir():
        shutil.copytree(EXAMPLE, Path(app.outdir) / "demo_report", dirs_exist_ok=True)


def setup(app):
    """Add the directive, the reading of bars and of files elsewhere, and the example."""
    app.add_directive("room", Room)
    app.connect("autodoc-process-docstring", bars, priority=900)  # after numpydoc
    app.connect("source-read", as_page)
    app.connect("build-finished", with_example)
