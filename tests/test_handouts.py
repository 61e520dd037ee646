"""Slides and printed pages: made of the lessons as they are stored, and of the guide."""

import base64
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import handouts
import nbformat
import pytest
from handouts import anchor, deck, exit_question, figures, prompts, rows, timetable
from lessons import lesson_paths, read_lesson
from nbformat import v4 as nb

ROOT = Path(__file__).resolve().parents[1]
LESSONS = lesson_paths(ROOT / "notebooks")
DOT = base64.b64encode(b"a PNG").decode()
GUIDE = """# Lesson 1

## One class

| time | what | how |
|---|---|---|
| 0:00 | Hands up: loud or soft? | talk |
| 0:05 | [Loudness](notebooks/01_a.ipynb#loudness), on the board | run |
| 0:20 | A break | all |

Late? Leave out the end.

**Exit question.** What is loud? *Answer:* What is not soft.

## A question for each figure

- *The dot:* how large? (One pixel.)
- *A table (no figure):* how long?

## Guess first

| prompt | outcome |
|---|---|
| How loud? | 60 dB |
"""


def guide_of(path):
    return (ROOT / "docs" / f"teach_{path.stem[:2]}.md").read_text(encoding="utf-8")


def small_lesson():
    """Return a lesson with a section, a prompt, a figure and questions."""
    shown = {"metadata": {"image/png": {"alt": 'A dot: "one" [0.5, 1] *pixel*'}}}
    dot = nb.new_output("display_data", {"image/png": DOT}, **shown)
    choices = (
        '<details class="choice"><summary>10</summary>No: more.</details>\n'
        '<details class="choice"><summary>20</summary>Right: much more.</details>'
    )
    return nb.new_notebook(
        cells=[
            nb.new_markdown_cell("# 1 · Loud?\n\nHear.\n\nWhen you are done you can\n- hear."),
            nb.new_markdown_cell("## Loudness\n\nSee [lesson 2](02_b.ipynb).\n\nHow loud is it?"),
            nb.new_code_cell('guess = ""  # in dB\nplot()', outputs=[dot]),
            nb.new_markdown_cell(f"## Check yourself\n\n**1.** How soft?\n\n{choices}"),
            nb.new_markdown_cell("## To remember\n\n- Listen.\n\n## Try it\n\n1. Shout."),
        ]
    )


def render(tmp_path, guide, monkeypatch):
    """Return the slides of the small lesson as Sphinx renders them, with their notes."""
    (tmp_path / "teach_01.md").write_text(guide, encoding="utf-8")
    (tmp_path / "01_small.ipynb").write_text(nbformat.writes(small_lesson()), encoding="utf-8")
    monkeypatch.setattr(handouts, "DOCS", tmp_path)
    monkeypatch.setattr(handouts, "NOTEBOOKS", tmp_path)
    page = (handouts.make_slides(tmp_path) / "01_small.html").read_text(encoding="utf-8")
    body = page[page.index('role="main"') : page.index("<script>\n        var")]
    return [one for one in re.split(r"<section\s*>", body)[1:] if one.strip()]


def readable(slide):
    """Return what stands on a slide, and in its notes."""
    shown, _, said = slide.partition('<aside class="notes">')
    return [" ".join(unescape(re.sub("<[^>]+>", " ", part)).split()) for part in (shown, said)]


def test_a_deck_shows_a_lesson_in_order_and_says_what_its_guide_says(tmp_path, monkeypatch):
    slides = render(tmp_path, GUIDE, monkeypatch)
    texts, notes = zip(*map(readable, slides), strict=True)
    assert texts == (
        "1 · Loud? Hear.",
        "When you are done you can hear.",
        "Loudness See lesson 2.",
        "Guess first. How loud is it?",
        "",
        "Check yourself",
        "1. How soft? 10 20",
        "To remember Listen.",
        "At the door What is loud?",
    )
    assert notes[0] == "0:00 Hands up: loud or soft? (talk) Late? Leave out the end."
    assert notes[2] == "0:05 Loudness, on the board (run) 0:20 A break (all)"
    assert notes[3] == "How loud?: 60 dB"
    assert notes[4] == "The dot: how large? (One pixel.)"
    assert notes[6] == "10 – No: more. 20 – Right: much more."
    assert notes[8] == "Answer: What is not soft."
    (alt,) = re.findall(r'<img alt="([^"]*)"', slides[4])
    assert unescape(alt) == 'A dot: "one" [0.5, 1] *pixel*'


def test_where_the_guide_has_other_numbers_nothing_is_said_rather_than_something_wrong():
    more = GUIDE.replace("- *The dot", "- *A line:* long?\n- *The dot") + "| And? | 70 dB |\n"
    text = deck(small_lesson(), more)
    assert "How loud is it?" in text and "data:image/png" in text
    assert not re.search("60 dB|70 dB|One pixel", text)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lessons_guide_names_its_sections_and_has_an_entry_for_each_figure(path):
    lesson, guide = read_lesson(path), guide_of(path)
    text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    headings = {anchor(heading) for heading in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
    assert len(timetable(guide)) > 5 and set(timetable(guide)) <= headings | {""}
    assert len(handouts.remarks_on_figures(guide)) == len(list(figures(lesson.cells))) > 2
    assert all(exit_question(guide))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lessons_guide_has_a_row_for_each_prompt(path):
    asked = list(prompts(read_lesson(path).cells))
    assert len(rows(guide_of(path), "prompt")) == len(asked) > 2


# In Chromium


@pytest.fixture(scope="module")
def browser():
    with handouts.chromium() as browser:
        yield browser


def pages_of(pdf):
    """Return the text of each page of a PDF, as it can be selected."""
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext, of poppler-utils")
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True)
    return text.stdout.decode().split("\f")[:-1]


@pytest.mark.browser
def test_every_slide_fits_its_screen_and_a_deck_prints_a_slide_a_page(browser, tmp_path):
    decks = handouts.make_slides(tmp_path)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    for path in decks.glob("0*.html"):
        page.goto(f"{path.as_uri()}?print-pdf")
        page.locator(".pdf-page").last.wait_for()
        tall = page.eval_on_selector_all(
            ".pdf-page > section",
            """all => all.filter(one => one.scrollHeight > 721 || one.scrollWidth > 1281)
               .map(one => one.innerText)""",
        )
        assert tall == [], path.name
        n_slides = page.locator(".pdf-page").count()
    handouts.print_deck(browser, path, tmp_path / "deck.pdf")
    assert len(pages_of(tmp_path / "deck.pdf")) == n_slides > 10


@pytest.mark.browser
def test_a_printed_lesson_can_be_selected_and_no_page_is_nearly_empty(browser, site, tmp_path):
    lesson = site / "notebooks" / "01_explore_the_data.html"
    handouts.print_pages(browser, [lesson], tmp_path / "lesson.pdf")
    pages = pages_of(tmp_path / "lesson.pdf")
    assert 5 < len(pages) < 20
    *others, last = pages
    assert "To remember" in "".join(others) and "Answers" in last
    reasons = "No: a guesser gets five right", "Right: a perfect ear scores 0.96."
    assert all(reason in last and reason not in "".join(others) for reason in reasons)
    assert last.count("nobody can tell") == "".join(others).count("nobody can tell") == 1
    assert min(len(page.split()) for page in pages) > 40


@pytest.mark.browser
def test_nothing_is_cut_off_at_the_edge_of_the_paper(browser, site):
    page = browser.new_page(viewport={"width": 658, "height": 990})  # A4 without its margins
    page.emulate_media(media="print")
    for path in [*site.glob("notebooks/**/0*.html"), *site.glob("teach*.html")]:
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        wide = page.eval_on_selector_all(
            "article :is(table, pre, img)",
            """all => all.filter(one => one.getBoundingClientRect().right > 659
                                     || one.scrollWidth > one.clientWidth + 1)
               .map(one => one.innerText?.slice(0, 80) || one.alt)""",
        )
        assert wide == [], path.name


@pytest.mark.browser
def test_the_guide_and_solutions_are_printed_whole(browser, site, tmp_path):
    handouts.print_pages(browser, sorted(site.glob("teach*.html")), tmp_path / "guide.pdf")
    guide = "".join(pages_of(tmp_path / "guide.pdf"))
    assert all(f"Lesson {number} · " in guide for number in range(1, 10))
    exercises = site / "notebooks" / "exercises" / "06_slice_waveforms.html"
    handouts.print_pages(browser, [exercises], tmp_path / "exercises.pdf")
    assert "sliding_window_view(samples, length)[::hop]" in "".join(
        pages_of(tmp_path / "exercises.pdf")
    )


def test_without_a_browser_one_line_says_what_is_missing(monkeypatch):
    pytest.importorskip("playwright")
    monkeypatch.setattr(handouts.shutil, "which", lambda name: None)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", "/nowhere")
    with pytest.raises(SystemExit, match="install one"), handouts.chromium():
        pass
