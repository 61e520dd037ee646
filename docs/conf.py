"""How Sphinx renders the course. The notebooks come here executed; nothing is run."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "What genre is this?"
author = "The GTZAN course"
project_copyright = "text CC BY 4.0, code MIT"
version = release = PROJECT["version"]
extensions = ["myst_nb", "sphinx_revealjs"]
myst_enable_extensions = ["dollarmath", "substitution"]
nb_execution_mode = "off"
nb_number_source_lines = False
nb_code_prompt_show = "Show the solution"
nb_code_prompt_hide = "Hide the solution"
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = [("guess.js", {"defer": "defer"})]
html_show_sphinx = False
html_math_renderer = "mathml"
html_theme_options = {
    "repository_url": PROJECT["urls"]["Repository"],
    "repository_branch": "main",
    "path_to_docs": "",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "show_toc_level": 2,
    "navbar_start": [],  # the search field stands in the sidebar
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}

# Slides (tools/handouts.py).
revealjs_static_path = html_static_path
revealjs_style_theme = "white"
revealjs_css_files = ["slides.css"]
revealjs_script_conf = {
    "width": 1280,
    "height": 720,
    "hash": True,
    "slideNumber": "c/t",
    "transition": "none",
}
revealjs_script_plugins = [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}]

# Every lesson names its own repository, Binder and Colab; these depend on where it is published.
linkcheck_ignore = [
    re.escape(PROJECT["urls"]["Repository"]),
    r"https://(mybinder\.org|colab\.research\.google\.com)/",
]
linkcheck_anchors = False
linkcheck_retries = 3


def list_lessons(app: Sphinx, config: Config) -> None:
    """Give the pages a table of the lessons, `{{ lessons }}`: minutes, seconds and memory."""
    import nbformat

    measured = Path(app.srcdir, "lessons.json")
    costs = json.loads(measured.read_text(encoding="utf-8")) if measured.exists() else {}
    lines = ["| lesson | minutes | code runs for | memory |", "|---|---|---|---|"]
    for path in sorted(Path(app.srcdir, "notebooks").glob("0*.ipynb")):
        opening = nbformat.read(path, as_version=4).cells[0].source
        title = re.search(r"^# (.+)$", opening, re.MULTILINE)
        minutes = re.search(r"About (\d+) minutes", opening)
        name = title[1] if title else path.stem
        cost = costs.get(path.stem, {"seconds": "", "memory": ""})
        lines.append(
            f"| [{name}](notebooks/{path.name}) | {minutes[1] if minutes else ''} "
            f"| {cost['seconds']} | {cost['memory']} |"
        )
    config.myst_substitutions = {"lessons": "\n".join(lines)}


def write_formula(translator: nodes.NodeVisitor, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers show by themselves: no script, no network."""
    block = isinstance(node, nodes.math_block)
    text = re.sub(r"^(?=[_^])", "{}", node.astext())  # as in "momentum$^t$"
    try:
        formula = tex2mathml(text, as_block=block)
    except (MathError, IndexError) as error:
        LOGGER.warning("formula $%s$ is not understood: %s", node.astext(), error, location=node)
        raise nodes.SkipNode from error
    around = '<div style="margin: 1.5em 0">{}</div>' if block else "{}"
    translator.body.append(around.format(formula))
    raise nodes.SkipNode


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give the figures of a notebook the alternative text that is stored with their outputs."""
    import nbformat

    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    outputs = [
        output
        for cell in nbformat.read(path, as_version=4).cells
        if not {"remove-cell", "remove-output"} & set(cell.metadata.get("tags", []))
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    images = [
        image
        for cell in doctree.findall(nodes.container)
        if "cell_output" in cell["classes"]
        for image in cell.findall(nodes.image)
    ]
    for output, image in zip(outputs, images, strict=True):
        image["alt"] = output.metadata.get("image/png", {}).get("alt", "")


def name_toggles(app: Sphinx, page: str, template: str, context: dict, *_: object) -> None:
    """Name what unfolds a part of the sidebar: the theme gives it an arrow and no words."""
    if not (toctree := context.get("generate_toctree_html")):
        return  # slides have no sidebar
    named = '<summary aria-label="Pages in this section">'
    context["generate_toctree_html"] = lambda *args, **options: str(
        toctree(*args, **options)
    ).replace("<summary>", named)


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.connect("config-inited", list_lessons)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("doctree-read", describe_figures)
    app.connect("html-page-context", name_toggles, priority=900)  # after the theme
