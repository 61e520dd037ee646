"""Figures: what they say to those who cannot see them, and colours that stay the same."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import gtzan_helpers as gh
from gtzan_helpers import plots
from gtzan_helpers.evaluation import Score

TONE = np.sin(np.linspace(0, 2 * np.pi * 440, 22050)).astype(np.float32) * 0.5
TRACKS = pd.DataFrame({"genre": ["jazz"] * 3 + ["polka"], "artist": ["a", "a", "", ""]})
HISTORY = pd.DataFrame(
    [[1, 2.0, 2.1, 0.2, 0.1], [2, 1.0, 1.5, 0.6, 0.4]],
    columns=["epoch", "loss", "val_loss", "accuracy", "val_accuracy"],
)
SONG = pd.DataFrame({"jazz": [0.2, 0.3], "rock": [0.8, 0.7]}, index=[0.0, 1.0])
TRUTH, PREDICTED = ["jazz", "jazz", "rock"], ["rock", "rock", "rock"]
SCORE = Score(0.5, 0.4, 0.6, 0.1)
FIGURES = [
    (lambda: plots.waveform(TONE), ["Waveform", "1 seconds", "0.50"]),
    (lambda: plots.spectrogram(TONE, title="A tone"), ["A tone", "logarithmic"]),
    (lambda: plots.spectrogram(TONE, mel=True), ["mel"]),
    (lambda: plots.spectrum(TONE), ["Spectrum", "11020 Hz"]),
    (lambda: plots.tracks_by_artist(TRACKS), ["jazz 3 tracks of 1", "polka 1 tracks of 0"]),
    (lambda: plots.scores({"CNN": SCORE}, title="One"), ["One", "CNN 0.50 [0.40, 0.60]", "0.10"]),
    (
        lambda: plots.confusion(TRUTH, PREDICTED, ["jazz", "rock"]),
        ["1 of 3", "jazz taken for rock"],
    ),
    (lambda: plots.confusion(TRUTH, TRUTH, ["jazz", "rock"]), ["3 of 3"]),
    (lambda: plots.history(HISTORY), ["2 epochs", "0.60", "0.40"]),
    (lambda: plots.probabilities(SONG), ["rock 0.75, jazz 0.25"]),
    (lambda: plots.song({"dense": SONG, "CNN": 1 - SONG}, title="x.wav"), ["x.wav", "CNN: jazz"]),
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


def test_the_spectrum_of_a_tone_peaks_at_its_frequency_and_another_goes_beside_it(stored_text):
    ax = plots.spectrum(TONE, label="all")
    line = ax.lines[0]
    assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(440, abs=10)
    assert plots.spectrum(TONE[::2], 11025, label="half", ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all", "half"]


def test_cells_of_a_confusion_matrix_hold_counts_in_the_order_of_the_genres(stored_text):
    texts = plots.confusion(TRUTH, PREDICTED, ["rock", "jazz"]).texts
    assert [text.get_text() for text in texts if text.get_visible()] == ["1", "2"]
    with pytest.raises(ValueError, match="polka"):
        plots.confusion(["jazz"], ["polka"], ["jazz", "rock"])


def test_a_genre_has_the_same_colour_in_every_selection_and_own_genres_differ():
    assert plots.genre_colors(["rock", "jazz"])["jazz"] == plots.genre_colors(["jazz"])["jazz"]
    assert len(set(plots.genre_colors(["jazz", "polka", "tango", "salsa"]).values())) == 4
    assert len(plots.genre_colors([f"genre {n}" for n in range(25)])) == 25
