"""Lesson 6 in a real JupyterLab, in a real browser: run to its end, looked at, listened to.

And the pages of the site, as wide as a phone. It needs Chromium or Chrome; `make browser-test`
runs it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import course
import nbformat
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from lessons import Run

ROOT = Path(__file__).resolve().parents[1]
LESSON = "06_compare_and_use.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ["gpu", "quic", "background-networking", "component-update", "sync"]
MINUTE = 60_000  # in the milliseconds that Playwright counts in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a JupyterLab on a copy of the lesson without its outputs."""
    folder = tmp_path_factory.mktemp("lab")
    lesson = nbformat.read(ROOT / "notebooks" / LESSON, as_version=4)
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(lesson, folder / LESSON)
    # Outside the window JupyterLab would leave cells out of the page, and out of these tests.
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--port={port} --no-browser --allow-root --ServerApp.token= --LabApp.news_url="
    options += f" --LabApp.expose_app_in_browser=True --ServerApp.root_dir={folder}"
    command = [sys.executable, "-m", "jupyter", "lab", *options.split()]
    home = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "TQDM_DISABLE": "1"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | home, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                with suppress(OSError):
                    urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                    break
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium or Chrome."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "install Chromium or Chrome: none of " + ", ".join(BROWSERS) + " was found"
    options = [f"--disable-{name}" for name in QUIET]
    options += ["--no-first-run", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=found, args=options, chromium_sandbox=False
        )


@pytest.fixture(scope="module")
def page(lab: str, browser: object) -> object:
    """The lesson in the browser, after all of its cells were run."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(f"{lab}/lab/tree/{LESSON}", timeout=2 * MINUTE)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=2 * MINUTE)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
        "?.connectionStatus == 'connected'",
        timeout=MINUTE,
    )
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')", None)
    return page


def test_all_cells_run_without_an_error(page: object) -> None:
    cells = page.evaluate(
        "window.jupyterapp.shell.currentWidget.model.toJSON().cells"
        ".filter(cell => cell.cell_type == 'code')"
    )
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds and "error" not in kinds


def test_figures_are_seen(page: object) -> None:
    cells = nbformat.read(ROOT / "notebooks" / LESSON, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    n_figures = sum("image/png" in output.get("data", {}) for output in outputs)
    widths = page.eval_on_selector_all(
        ".jp-OutputArea img", "all => all.filter(one => one.complete).map(one => one.naturalWidth)"
    )
    assert len(widths) >= n_figures + 1  # and the one of the song
    assert min(widths) > 300


def test_every_player_plays(page: object) -> None:
    played = page.eval_on_selector_all(
        ".jp-OutputArea audio",
        """async all => {
            const seconds = [];
            for (const one of all) {
                one.muted = true;
                await one.play();
                await new Promise(done => setTimeout(done, 1000));
                one.pause();
                seconds.push([one.currentTime, one.duration]);
            }
            return seconds;
        }""",
    )
    assert len(played) >= 3
    assert all(0.1 < now <= duration <= 10.1 for now, duration in played)


def test_a_song_can_be_chosen_with_the_button(page: object, tmp_path: Path) -> None:
    song = tmp_path / "my song.wav"
    seconds = np.arange(6 * 22050) / 22050
    beeps = np.sin(2 * np.pi * 220 * seconds) * (seconds % 0.5 < 0.2)
    soundfile.write(song, 0.3 * beeps, 22050)
    before = page.locator(".jp-OutputArea audio").count()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a song").click()
    chooser.value.set_files(song)
    page.get_by_text("my song.wav").first.wait_for(timeout=2 * MINUTE)
    assert page.locator(".jp-OutputArea audio").count() == before + 1
    assert page.locator('.jp-OutputArea img[alt^="my song.wav: dense network: "]').count() == 1


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made from the notebooks as they are stored."""

    def stored(path: Path, on_cell: object) -> Run:
        return Run(path.stem, 0.0, 0.0, "", nbformat.read(path, as_version=4))

    folder = tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "BUILD", folder)
        patch.setattr(course, "run_lesson", stored)
        done = CliRunner().invoke(course.main, ["run"])
    assert done.exit_code == 0, done.output
    return folder / "site"


def test_code_and_figures_fit_a_phones_width(browser: object, site: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    for path in [*site.glob("[it]*.html"), *site.glob("notebooks/**/*.html")]:
        page.goto(path.as_uri())
        wide = page.evaluate(
            """[document.documentElement,
                ...document.querySelectorAll('.cell_input pre, .cell_output pre, .cell_output img')]
               .filter(one => one.scrollWidth > 390 || one.scrollWidth > one.clientWidth + 1)
               .map(one => one.innerText?.slice(0, 80) ?? one.alt)"""
        )
        assert wide == [], path.name


def test_each_page_has_neighbours_buttons_and_figures_with_words(
    browser: object, site: Path
) -> None:
    page = browser.new_page()
    for path in site.glob("notebooks/**/*.html"):
        page.goto(path.as_uri())
        assert page.locator("a.left-prev").count() == page.locator("a.right-next").count() == 1
        notebook = path.relative_to(site).with_suffix(".ipynb").as_posix()
        for host in ("colab.research.google.com", "mybinder.org"):
            assert page.locator(f"a[href*='{host}'][href$='{notebook}']").count() == 1
        assert (ROOT / notebook).exists()
        texts = page.eval_on_selector_all(".cell_output img", "all => all.map(one => one.alt)")
        assert all(len(text) > 20 for text in texts), path.name


def test_the_search_finds_where_a_word_is_taught(browser: object, site: Path) -> None:
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=aliasing")
    page.locator("#search-results a[href*='04_slice_waveforms']").first.wait_for(timeout=MINUTE)


def test_solutions_are_folded_until_they_are_asked_for(browser: object, site: Path) -> None:
    page = browser.new_page()
    page.goto((site / "notebooks" / "exercises" / "04_slice_waveforms.html").as_uri())
    folded = page.locator("details")
    assert folded.count() >= 4
    assert not folded.first.locator("pre").is_visible()
    folded.first.locator("summary").click()
    assert folded.first.locator("pre").is_visible()
