"""Make what a teacher takes into the room: slides, and pages to print.

python tools/handouts.py slides   # `make slides`
python tools/handouts.py pdf      # `make pdf`

Both are made of the notebooks as they are stored and of the guide; nothing is executed.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from course import BUILD, DOCS, NOTEBOOKS, put_in_place, render, save_exercises
from lessons import lesson_paths, read_lesson

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHOICE = re.compile(r'<details class="choice"><summary>(.+?)</summary>(.+?)</details>')
EMBEDDED = re.compile(r'<img alt="([^"]*)"[^>]* src="data:image/png;base64,([^"]*)"')
BREAK = "```{revealjs-break}\n:notitle:\n```\n\n"  # a new slide, without a heading
FOOTER = """<div style="font-size: 8px; width: 100%; text-align: center">
<span class="title"></span> · <span class="pageNumber"></span> / <span class="totalPages"></span>
</div>"""
# Solutions unfolded, what is right and why on the last page; a link to another page of the site
# would lead to where the PDF was made.
ON_PAPER = """articles => {
    const article = document.querySelector("article");
    article.innerHTML = articles.join("");
    article.querySelectorAll("details:not(.choice)").forEach(one => one.open = true);
    const answers = document.createElement("section");
    answers.innerHTML = "<h2>Answers</h2>";
    answers.style.breakBefore = "page";
    for (const choice of article.querySelectorAll("details.choice")) {
        const before = choice.previousElementSibling;
        if (!before.matches("details")) answers.append(before.cloneNode(true));
        answers.append(document.createElement("p"));
        answers.lastChild.innerHTML = choice.innerHTML.replaceAll("summary>", "b>");
        answers.lastChild.querySelector("b").append(" – ");
    }
    if (answers.children.length > 1) article.append(answers);
    document.querySelectorAll("article a:not([href^=http], [href^='#'])")
        .forEach(one => one.replaceWith(...one.childNodes));
}"""


class Figure(NamedTuple):
    """A figure of a notebook: a PNG in base64, and its alternative text."""

    png: str
    alt: str


@click.group()
def main() -> None:
    """Make slides and printable pages of the lessons and the teacher's guide."""


@main.command()
def slides() -> None:
    """Make a deck of slides for each lesson under build/slides."""
    with workplace() as work:
        put_in_place(make_slides(work), BUILD / "slides", work)
    click.echo("Open build/slides/index.html. In a deck, the key S shows what to say.")


@main.command()
def pdf() -> None:
    """Print lessons, exercises with their solutions, the guide and the slides to build/pdf."""
    with workplace() as work, chromium() as browser:
        site, decks, printed = make_site(work), make_slides(work), work / "pdf"
        for page in sorted(site.glob("notebooks/**/0*.html")):
            name = page.relative_to(site / "notebooks").with_suffix(".pdf")
            print_pages(browser, [page], printed / name)
        print_pages(browser, sorted(site.glob("teach*.html")), printed / "guide.pdf")
        for deck in sorted(decks.glob("0*.html")):
            print_deck(browser, deck, printed / "slides" / f"{deck.stem}.pdf")
        put_in_place(printed, BUILD / "pdf", work)
    click.echo("They are in build/pdf.")


@contextmanager
def workplace() -> Iterator[Path]:
    """Lend a folder in which all is made before it is put in place."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="handouts-", dir=BUILD) as folder:
        yield Path(folder)


def make_site(work: Path) -> Path:
    """Render the site from the notebooks as they are stored; return its folder."""
    click.echo("Rendering the site …")
    source = work / "source"
    shutil.copytree(DOCS, source)
    (source / "notebooks").mkdir()
    for path in lesson_paths(NOTEBOOKS):
        shutil.copy(path, source / "notebooks")
    save_exercises(source)
    render(source, work / "site", work / "doctrees")
    return work / "site"


def make_slides(work: Path) -> Path:
    """Render a deck of each lesson, and a page that lists them; return their folder."""
    click.echo("Rendering the slides …")
    source = work / "decks"
    source.mkdir()
    for path in lesson_paths(NOTEBOOKS):
        guide = (DOCS / f"teach_{path.stem[:2]}.md").read_text(encoding="utf-8")
        (source / f"{path.stem}.md").write_text(deck(read_lesson(path), guide), encoding="utf-8")
    index = "# Slides\n\n```{toctree}\n:glob:\n:maxdepth: 1\n\n0*\n```\n"
    (source / "index.md").write_text(index, encoding="utf-8")
    render(source, work / "slides", work / "doctrees-slides", builder="revealjs")
    return work / "slides"


def deck(notebook: NotebookNode, guide: str) -> str:
    """Return the slides of a lesson as a page for Sphinx, with what to say from its guide.

    The guide's entries belong to figures and prompts in their order. Where it has more of them,
    or fewer, none is shown, rather than a wrong one.
    """
    said = timetable(guide)
    remarks = iter(in_step(remarks_on_figures(guide), list(figures(notebook.cells))))
    outcomes = iter(in_step(rows(guide, "prompt"), list(prompts(notebook.cells))))
    opening, when, goals = plain(notebook.cells[0].source).partition("When you are done")
    made = [opening + notes(*said[""]), BREAK + when + goals]
    for cell, after in pairwise([*notebook.cells[1:], {}]):
        for shown in figures([cell]):
            made.append(figure_slide(shown, next(remarks)))
        if cell.cell_type == "markdown":
            made += text_slides(cell.source, is_guess(after), said)
        for question in prompts([cell, after]):
            *_, above, _ = ["", *cell.source.split("\n\n")]
            own = "" if above.startswith("#") else BREAK
            made.append(f"{own}**Guess first.** {question}" + notes(": ".join(next(outcomes))))
    question, answer = exit_question(guide)
    return "\n\n".join([*made, f"## At the door\n\n{question}{notes(answer)}"]) + "\n"


def in_step(entries: list, places: list) -> list:
    """Return an entry of the guide for each place; empty ones if the numbers differ."""
    return entries if len(entries) == len(places) else [""] * len(places)


def is_guess(cell: dict) -> bool:
    """Whether a cell holds the reader's guess."""
    return bool(re.search(r"^guess = ", cell.get("source", ""), re.MULTILINE))


def prompts(cells: list) -> Iterator[str]:
    """Give the questions of a lesson: each is the last paragraph above a cell with a guess."""
    for cell, after in pairwise(cells):
        if cell.cell_type == "markdown" and is_guess(after):
            yield plain(cell.source.split("\n\n")[-1])


def figures(cells: list) -> Iterator[Figure]:
    """Give the figures of a notebook, as they are stored."""
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if png := data.get("image/png"):
                yield Figure(png, output.metadata.get("image/png", {}).get("alt", ""))
            for alt, png in EMBEDDED.findall(data.get("text/html", "")):
                yield Figure(png, html.unescape(alt))


def text_slides(text: str, asks: bool, said: dict[str, list[str]]) -> Iterator[str]:
    """Give a slide for each heading in a cell, with the paragraph below it.

    A question that the cell ends with has a slide of its own, and so has each with choices.
    """
    blocks = text.split("\n\n")
    for block, after in pairwise([*blocks[: -1 if asks else None], ""]):
        if CHOICE.search(after):
            choices = CHOICE.findall(after)
            shown = "\n".join(f"- {choice}" for choice, _ in choices)
            yield f"### {block}\n\n{shown}" + notes(*map(" – ".join, choices))
        elif heading := re.fullmatch(r"##+ (.+)", block):
            if heading[1] == "Try it":
                return
            lead = "" if after.startswith(("#", "|", "```", "**1.**")) else plain(after)
            yield f"{block}\n\n{lead}" + notes(*said[anchor(heading[1])])


def figure_slide(figure: Figure, remark: str) -> str:
    """Return a slide that is all figure."""
    png = re.sub(r"\s", "", figure.png)
    alt = json.dumps(figure.alt, ensure_ascii=False)
    image = f"```{{image}} data:image/png;base64,{png}\n:alt: {alt}\n```"
    return f"{BREAK}{image}{notes(remark)}"


def notes(*paragraphs: str) -> str:
    """Return what the speaker reads (the directive for it would drop paragraphs and emphasis)."""
    text = "\n\n".join(filter(None, map(plain, paragraphs)))
    return f'\n\n<aside class="notes">\n\n{text}\n\n</aside>' if text else ""


def plain(text: str) -> str:
    """Return Markdown without its links to other pages of the course."""
    return re.sub(r"\[([^]]*)\]\((?!http)[^)]*\)", r"\1", text)


def anchor(heading: str) -> str:
    """Return the end of a link to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def rows(guide: str, first: str) -> list[list[str]]:
    """Return the rows of the table in a guide whose first column has this name."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", guide, re.MULTILINE)
    lines = table[1].splitlines() if table else []
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def timetable(guide: str) -> dict[str, list[str]]:
    """Return what the guide says of each section of its lesson, by anchor; "" is the beginning.

    A row of its timetable that names no section goes on with that of the row before.
    """
    said, places = defaultdict(list), [""]
    for number, (time, what, how) in enumerate(rows(guide, "time")):
        places = re.findall(r"\.ipynb#([\w-]+)", what) or places
        for place in [*places, ""] if number == 0 and "" not in places else places:
            said[place].append(f"**{time}** {what} *({how})*")
    said[""] += re.findall(r"^.*\bLate\? .*$", guide, re.MULTILINE)
    return said


def remarks_on_figures(guide: str) -> list[str]:
    """Return what the guide asks at each figure of its lesson."""
    part = re.search(r"^## A question for each figure\n(.*?)(?=^## |\Z)", guide, re.M | re.S)
    entries = re.findall(r"^- (.+)", part[1] if part else "", re.MULTILINE)
    return [entry for entry in entries if "(no figure)" not in entry]


def exit_question(guide: str) -> list[str]:
    """Return the question that a lesson ends with, and its answer."""
    found = re.search(r"\*\*Exit question\.\*\* (.+) (\*Answer:\* .+)", guide)
    return list(found.groups()) if found else ["", ""]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend the browser that prints; say in one line what is missing."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        sys.exit("Printing needs playwright: .venv/bin/python -m pip install playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=False)
        except Error:
            sys.exit("Printing needs Chromium or Chrome: install one of them.")
        yield browser


def print_pages(browser: Browser, pages: list[Path], place: Path) -> None:
    """Print pages of the site, one after the other, into one PDF."""
    click.echo(f"{place.parent.name}/{place.name}")
    page = browser.new_page()
    articles = []
    for path in reversed(pages):
        page.goto(path.as_uri())
        articles.insert(0, page.locator("article").inner_html())
    page.evaluate(ON_PAPER, articles)
    margin = dict.fromkeys(("top", "right", "bottom", "left"), "18mm")
    page.pdf(
        path=place,
        format="A4",
        margin=margin,
        tagged=True,
        outline=True,
        display_header_footer=True,
        header_template="<i></i>",
        footer_template=FOOTER,
    )
    page.close()


def print_deck(browser: Browser, deck: Path, place: Path) -> None:
    """Print a deck, a slide a page."""
    click.echo(f"{place.parent.name}/{place.name}")
    page = browser.new_page()
    page.goto(f"{deck.as_uri()}?print-pdf")
    page.locator(".pdf-page").last.wait_for()
    page.pdf(path=place, prefer_css_page_size=True, print_background=True, tagged=True)
    page.close()


if __name__ == "__main__":
    main()
