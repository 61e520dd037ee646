"""Figures: what they say to those who cannot see them, and colours that stay the same."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import gtzan_helpers as gh
from gtzan_helpers import plots
from gtzan_helpers.evaluation import Score

TONE = np.sin(np.linspace(0, 2 * np.pi * 440, 22050)).astype(np.float32) * 0.5
HISTORY = pd.DataFrame(
    [[1, 2.0, 2.1, 0.2, 0.1], [2, 1.0, 1.5, 0.6, 0.4]],
    columns=["epoch", "loss", "val_loss", "accuracy", "val_accuracy"],
)
SONG = pd.DataFrame({"jazz": [0.2, 0.3], "rock": [0.8, 0.7]}, index=[0.0, 1.0])
LAYERS = pd.DataFrame({"layer": ["CL1"], "channels": [16], "length": [10], "heard": [2.9]})
FILTERS = np.random.default_rng(0).normal(size=(3, 64))
SCORE = Score(0.5, 0.4, 0.6, 0.1)
HANN = np.hanning(2048)
PARTS = pd.DataFrame({"genre": [0.2, 0.4], "artist": [0.5, 0.3], "track": [0.3, 0.3]})
LUCK = pd.Series({"genre": 0.1, "artist": 0.2})
FIGURES = [
    (lambda: plots.waveform(TONE), ["Waveform", "1 seconds", "0.50"]),
    (lambda: plots.spectrogram(TONE, title="A tone"), ["A tone", "logarithmic"]),
    (lambda: plots.spectrogram(TONE, mel=True), ["mel"]),
    (lambda: plots.scores({"CNN": SCORE}, title="One"), ["One", "CNN 0.50 [0.40, 0.60]", "0.10"]),
    (lambda: plots.history(HISTORY), ["2 epochs", "0.60", "0.40"]),
    (
        lambda: plots.windows({"dense": SONG, "CNN": 1 - SONG}, {"dense": 2, "CNN": 1}, title="x"),
        ["x: dense says rock 2 of 2 times, first at 0 s", "CNN says jazz 2 of 2"],
    ),
    (
        lambda: plots.leakage({"cut off": TONE[:2048], "faded": TONE[:2048] * HANN}, (380, 500)),
        ["jumps at the edge", "broader at its top"],
    ),
    (
        lambda: plots.spectrograms({"a": (TONE, 256), "b": (TONE, 512)}, title="T", text="Two"),
        ["Two"],
    ),
    (
        lambda: plots.curves(
            {"loudness": {"jazz": TONE[:9] + 0.5}, "b (Hz)": {"jazz": HANN + 98.5}}
        ),
        ["Mean loudness: jazz 0.", "Mean b (Hz): jazz 99."],
    ),
    (
        lambda: plots.variance_parts(PARTS, LUCK, title="Parts"),
        ["Parts", "mean: genre 0.30, artist 0.40, track 0.30", "luck: genre 0.10"],
    ),
    (
        lambda: plots.plane(
            np.eye(2), ["jazz", "rock"], {"half": lambda xy: xy[:, 0]}, labels=["a", "b"]
        ),
        ["2 tracks by a and b", "half"],
    ),
    (lambda: plots.network({"in": 57, "out": 5}, title="Two"), ["Two", "in 57, out 5"]),
    (lambda: plots.slices(np.tile(TONE, 4), near=1.9), ["3 bars", "1 added", "1.90 s", "2 s"]),
    (lambda: plots.layers(LAYERS, title="Shorter"), ["Shorter", "CL1", "10 × 16", "2.9 ms"]),
    (lambda: plots.filters(FILTERS, 2 * FILTERS, title="Changed", shown=2), ["Changed", "2 "]),
]


@pytest.fixture
def stored_text():
    """Return a function that gives the alternative text stored with a figure in a notebook."""

    def text_of(ax) -> str:
        bundle, metadata = plots._with_alt_text(np.ravel(np.asarray(ax, dtype=object))[0].figure)
        assert bundle["image/png"]
        return metadata["image/png"]["alt"]

    yield text_of
    plt.close("all")


@pytest.mark.parametrize(("draw", "facts"), FIGURES)
def test_a_figure_says_what_it_shows(stored_text, draw, facts):
    text = stored_text(draw())
    assert [fact for fact in facts if fact not in text] == []


def test_an_own_text_comes_before_the_automatic_one_and_a_title_stands_in_for_none(stored_text):
    ax = plots.waveform(TONE)
    assert gh.alt_text(ax, "A tone\n  of one second.") is ax
    assert stored_text(ax) == "A tone of one second."
    ax = plt.subplots()[1]
    ax.set_title("Counts", loc="center")
    assert stored_text(ax) == "Counts"


def test_a_genre_has_the_same_colour_in_every_selection_and_own_genres_differ():
    assert plots.genre_colors(["rock", "jazz"])["jazz"] == plots.genre_colors(["jazz"])["jazz"]
    assert len(set(plots.genre_colors(["jazz", "polka", "tango", "salsa"]).values())) == 4
    assert len(plots.genre_colors([f"genre {n}" for n in range(25)])) == 25


@pytest.mark.parametrize("n_windows", [3, 50])
def test_a_bar_is_as_wide_as_its_window_and_lies_in_the_lane_of_the_likeliest_genre(n_windows):
    likeliest = np.arange(n_windows) % 3
    table = pd.DataFrame(np.eye(3)[likeliest], np.arange(n_windows), ["jazz", "pop", "rock"])
    (ax,) = plots.windows({"CNN": table}, {"CNN": 2.5})
    boxes = [bar.get_bbox() for bar in ax.patches]
    assert [(box.x0, box.width) for box in boxes] == [(start, 2.5) for start in table.index]
    assert [round((box.y0 + box.y1) / 2) for box in boxes] == likeliest.tolist()
    lanes = [label.get_text() for label in ax.get_yticklabels()]
    assert lanes == ["jazz", "pop", "rock"] and ax.get_ylim()[0] > ax.get_ylim()[1]
    plt.close("all")
