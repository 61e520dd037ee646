"""What readers need: headings that nest, links that lead somewhere, colours that can be told."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import sync
from colorspacious import cspace_convert, deltaE
from matplotlib.colors import to_rgb

from gtzan_helpers import plots

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "notebooks").rglob("0*.ipynb")),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
KINDS = ["normal", "deuteranomaly", "protanomaly", "tritanomaly"]


def markdown(path: Path) -> str:
    """Return the text of a page or a notebook, without blocks of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(path: Path) -> list[tuple[int, str]]:
    found = re.findall(r"^(#+) (.+)$", markdown(path), re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def anchor(title: str) -> str:
    """Return the anchor that GitHub and the site give a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


@pytest.fixture(params=TEXTS, ids=lambda path: "/".join(path.relative_to(ROOT).parts))
def path(request) -> Path:
    return request.param


def test_headings_nest(path):
    levels = [level for level, _ in headings(path)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_links_inside_the_course_lead_somewhere(path):
    for link in LINK.findall(markdown(path)):
        if re.match(r"(https?|attachment|mailto):", link):
            continue
        place, _, fragment = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if path.parent.name == "docs" and place.startswith("notebooks/"):
            target = ROOT / place  # the site puts the notebooks beside its pages
        assert target.exists(), f"{path.name}: {link}"
        if fragment:
            assert fragment in {anchor(title) for _, title in headings(target)}, link


def test_each_term_is_used_where_its_link_leads():
    text = (ROOT / "docs" / "terms.md").read_text(encoding="utf-8")
    glossary = text.partition("```{glossary}")[2]
    terms = re.findall(r"^(\S.*)\n  .*\((notebooks/\S+)#(\S+)\)$", glossary, re.MULTILINE)
    assert len(terms) > 80
    assert [term.lower() for term, *_ in terms] == sorted(term.lower() for term, *_ in terms)
    for term, notebook, fragment in terms:
        section = ""
        for piece in re.split(r"^(?=#+ )", markdown(ROOT / notebook), flags=re.MULTILINE):
            if anchor(piece.partition("\n")[0].lstrip("# ")) == fragment:
                section = piece
        assert term.lower() in section.lower(), (term, notebook, fragment)


def test_no_address_of_the_repository_stands_outside_what_follows_from_pyproject():
    owner = sync.repository().removeprefix("https://github.com/")
    generated = {"README.md", "pyproject.toml"}
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("gtzan_helpers", "docs", "tools", "tests", ".github", "notebooks", ".")
        for path in ((ROOT / folder).glob("*") if folder == "." else (ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".pyi", ".md", ".yml", ".toml", ".txt", ".mjs", ".ipynb"}
        and owner in without_set_up(path)
        and path.name not in generated
    ]
    assert found == []


def without_set_up(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        return "\n".join(cell.source for cell in cells if cell.source != sync.setup_cell())
    return text


# Colours


def seen(color: str, kind: str) -> np.ndarray:
    """Return a colour as somebody with a colour vision deficiency sees it."""
    if kind == "normal":
        return np.array(to_rgb(color))
    space = {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}
    return np.clip(cspace_convert(to_rgb(color), space, "sRGB1"), 0, 1)


def lightness(color: str) -> float:
    return cspace_convert(to_rgb(color), "sRGB1", "CAM02-UCS")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_colour_blind_readers_tell_the_genres_apart(kind):
    colors = plots.genre_colors(sorted(plots._GTZAN_COLORS))
    for one, other in itertools.combinations(colors, 2):
        apart = deltaE(seen(colors[one], kind), seen(colors[other], kind), input_space="sRGB1")
        assert apart > 10, f"{one} and {other} look alike ({apart:.1f})"


def test_the_two_colours_of_most_figures_differ_in_grey():
    assert abs(lightness(plots.INK) - lightness(plots.ACCENT)) > 30


def test_lines_of_genres_and_of_training_differ_by_more_than_colour():
    table = pd.DataFrame(np.random.default_rng(0).dirichlet(np.ones(5), 20), columns=list("abcde"))
    named = plots.probabilities(table, top=4).get_legend().get_lines()
    assert len({line.get_linestyle() for line in named}) == 4
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    axes = plots.history(pd.DataFrame(np.ones((3, 5)), columns=columns), title="t")
    for ax in np.ravel(np.asarray(axes, dtype=object)):
        styles = [line.get_linestyle() for line in ax.get_lines()]
        assert len(set(styles)) == len(styles)
    plt.close("all")


def test_the_map_of_the_tracks_has_a_marker_for_each_genre():
    source = markdown_and_code(ROOT / "notebooks" / "02_extract_features.ipynb")
    assert '"style": table["label"]' in source


def markdown_and_code(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells)
