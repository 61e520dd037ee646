"""Lesson 8 in a real JupyterLab, in a real browser: run to its end, looked at, listened to.

And the pages of the site: as wide as a phone, and checked by axe. It needs Chromium or Chrome;
`make browser-test` runs it.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from handouts import BROWSERS
from test_tools import jupyter_lab

ROOT = Path(__file__).resolve().parents[1]
LESSON = "08_compare_and_use.ipynb"
QUIET = ["gpu", "quic", "background-networking", "component-update", "sync"]
MINUTE = 60_000  # in the milliseconds that Playwright counts in
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
# Code is coloured by kind. Axe is shown one word of each kind on a page: it is slow with thousands.
ONE_OF_A_KIND = """() => {
    const seen = new Set();
    for (const word of document.querySelectorAll('.highlight span'))
        seen.has(word.className) ? word.replaceWith(word.textContent) : seen.add(word.className);
}"""
# Axe passes over what is hidden: outcomes are shown, but in lesson 2, where fields for guesses are.
ALL_BUT_ONE_SHOWN = """
    localStorage.clear();
    if (!location.pathname.endsWith('02_see_sound.html')) localStorage.setItem('guess:off', 'yes');
"""
OF_THE_THEME = ["color-contrast", "link-in-text-block"]  # the rules of axe that look at colours

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of the lesson in a JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "notebooks" / LESSON, folder)
    # Outside the window JupyterLab would leave cells out of the page, and out of these tests.
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    options = "--port=0 --no-browser --allow-root --ServerApp.token= --LabApp.news_url="
    options += f" --LabApp.expose_app_in_browser=True --ServerApp.root_dir={folder}"
    environment = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "jupyter", "lab", *options.split()]
    with jupyter_lab(command, os.environ | environment, folder / "log") as address:
        yield f"{address}/tree/{LESSON}"


@pytest.fixture(scope="module")
def browser():
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
def page(lab, browser):
    """The lesson in the browser, after all of its cells were run anew."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(2 * MINUTE)
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function(
        f"{NOTEBOOK}?.sessionContext?.isReady"
        f"&& {NOTEBOOK}.sessionContext.session?.kernel?.connectionStatus == 'connected'"
    )
    for command in ("clear-all-cell-outputs", "run-all-cells"):
        page.evaluate(f"window.jupyterapp.commands.execute('notebook:{command}')", None)
    return page


def test_all_cells_run_without_an_error_and_figures_are_seen(page):
    cells = page.evaluate(f"{NOTEBOOK}.model.toJSON().cells.filter(c => c.cell_type == 'code')")
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs and "error" not in {output["output_type"] for output in outputs}
    n_figures = sum("image/png" in output.get("data", {}) for output in outputs)
    widths = page.eval_on_selector_all(
        ".jp-OutputArea img", "all => all.filter(one => one.complete).map(one => one.naturalWidth)"
    )
    assert len(widths) >= n_figures + 1 > 1  # and the one of the song
    assert min(widths) > 300


def test_every_player_plays(page):
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


def test_a_song_can_be_chosen_with_the_button(page, tmp_path):
    song = tmp_path / "my song.wav"
    seconds = np.arange(6 * 22050) / 22050
    beeps = np.sin(2 * np.pi * 220 * seconds) * (seconds % 0.5 < 0.2)
    soundfile.write(song, 0.3 * beeps, 22050)
    before = page.locator(".jp-OutputArea audio").count()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a song").click()
    chooser.value.set_files(song)
    page.get_by_text("my song.wav").first.wait_for()
    assert page.locator(".jp-OutputArea audio").count() == before + 1
    assert page.locator('.jp-OutputArea img[alt^="my song.wav: dense network says "]').count() == 1


def test_the_sites_pages_fit_a_phone_and_lead_on(browser, site):
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.add_init_script("localStorage.setItem('guess:off', 'yes')")  # all outcomes are shown
    for path in [*site.glob("[it]*.html"), *site.glob("notebooks/**/*.html")]:
        page.goto(path.as_uri())
        wide = page.evaluate(
            """[document.documentElement,
                ...document.querySelectorAll('.cell_input pre, .cell_output pre, .cell_output img')]
               .filter(one => one.scrollWidth > 390 || one.scrollWidth > one.clientWidth + 1)
               .map(one => one.innerText?.slice(0, 80) ?? one.alt)"""
        )
        assert wide == [], path.name
        out_of_reach = page.evaluate(
            """[...document.querySelectorAll('.bd-content *')]
               .filter(one => one.scrollWidth > one.clientWidth + 1 && one.tabIndex < 0
                              && /auto|scroll/.test(getComputedStyle(one).overflowX))
               .map(one => one.outerHTML.slice(0, 80))"""
        )
        assert out_of_reach == [], path.name  # what can be scrolled, but not with the keys
        if path.parent == site:
            continue
        assert page.locator("a.left-prev").count() == page.locator("a.right-next").count() == 1
        notebook = path.relative_to(site).with_suffix(".ipynb").as_posix()
        assert (ROOT / notebook).exists()
        for host in ("colab.research.google.com", "mybinder.org"):
            assert page.locator(f"a[href*='{host}'][href$='{notebook}']").count() == 1
        texts = page.eval_on_selector_all(".cell_output img", "all => all.map(one => one.alt)")
        assert all(len(text) > 20 for text in texts), path.name


@pytest.mark.parametrize(("theme", "rules"), [("light", None), ("dark", OF_THE_THEME)])
def test_axe_has_no_serious_objection_to_the_sites_pages(browser, site, theme, rules):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(color_scheme=theme, reduced_motion="reduce")
    page.add_init_script(ALL_BUT_ONE_SHOWN)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = []
    for path in [*site.glob("*.html"), *site.glob("notebooks/**/*.html")]:
        page.goto(path.as_uri())
        assert page.locator("html").get_attribute("data-theme") == theme
        filters = "all => all.map(one => getComputedStyle(one).filter)"
        assert {*page.eval_on_selector_all(".bd-content img", filters)} <= {"none"}  # true colours
        page.evaluate(ONE_OF_A_KIND)
        found += [
            f"{path.relative_to(site)}: {rule['id']}: {element['html']}"
            for rule in Axe().run(page, options=options).response["violations"]
            if rule["impact"] in ("serious", "critical")
            for element in rule["nodes"]
        ]
    assert found == []


def test_the_search_finds_where_a_word_is_taught(browser, site):
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=aliasing")
    page.locator("#search-results a[href*='06_slice_waveforms']").first.wait_for(timeout=MINUTE)


def test_solutions_are_folded_until_they_are_asked_for(browser, site):
    page = browser.new_page()
    page.goto((site / "notebooks" / "exercises" / "06_slice_waveforms.html").as_uri())
    folded = page.locator("article details")
    assert folded.count() >= 4
    assert not folded.first.locator("pre").is_visible()
    folded.first.locator("summary").click()
    assert folded.first.locator("pre").is_visible()


def test_an_outcome_is_hidden_until_a_guess_was_made_which_is_kept(browser, site):
    page = browser.new_page()
    page.goto((site / "notebooks" / "04_test_honestly.html").as_uri())
    form = page.locator("form.guess").first
    outcome = page.get_by_text("outcome: 0.95")
    assert form.is_visible() and not outcome.is_visible()
    form.get_by_label("Your guess").fill("<b>0.7</b>")
    form.get_by_role("button", name="Show what came out").click()
    for _ in range(2):
        assert outcome.is_visible() and not form.is_visible()
        assert "guessed: <b>0.7</b> " in outcome.inner_text()
        page.reload()
    assert page.locator("form.guess").nth(1).is_visible()
    page.get_by_role("button", name="Stop asking").first.click()
    page.goto((site / "notebooks" / "05_dense_network.html").as_uri())
    assert page.locator("form.guess").count() and not page.locator("form.guess:visible").count()
    assert not page.locator(".cell_output:not(:visible)").count()


def test_everything_is_shown_without_javascript(browser, site):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / "notebooks" / "04_test_honestly.html").as_uri())
    assert page.get_by_text("outcome: 0.95").is_visible()
    choices = page.locator("details.choice")
    assert choices.count() >= 6
    choices.first.locator("summary").click()
    assert choices.first.get_attribute("open") is not None
