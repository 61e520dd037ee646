"""Figures: what they say to those who cannot see them, and colours that stay the same."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import gtzan_helpers as gh
from gtzan_helpers import plots
from gtzan_helpers.evaluation import Score

TONE = np.sin(np.linspace(0, 2 * np.pi * 440, 22050)).astype(np.float32) * 0.5
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "loss": [2.0, 1.0],
        "val_loss": [2.1, 1.5],
        "accuracy": [0.2, 0.6],
        "val_accuracy": [0.1, 0.4],
    }
)


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def spoken(ax: Axes | np.ndarray) -> str:
    """Return the alternative text that is stored with a figure in a notebook."""
    figure = np.ravel(np.asarray(ax, dtype=object))[0].figure
    bundle, metadata = plots._figure_with_alt_text(figure)
    assert bundle["image/png"]
    return metadata["image/png"]["alt"]


def test_a_waveform_says_its_length_and_its_peak() -> None:
    assert spoken(plots.waveform(TONE)) == (
        "Waveform: amplitude over 1 seconds, largest absolute value 0.50."
    )


def test_spectra_of_several_sounds_share_one_figure() -> None:
    ax = plots.spectrum(TONE, label="all")
    assert plots.spectrum(TONE[::2], 11025, label="half", ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all", "half"]


def test_the_spectrum_of_a_tone_peaks_at_its_frequency() -> None:
    line = plots.spectrum(TONE).lines[0]
    assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(440, abs=10)


@pytest.mark.parametrize("mel", [False, True])
def test_a_spectrogram_has_units_on_its_axes(mel: bool) -> None:
    ax = plots.spectrogram(TONE, mel=mel)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "frequency (Hz)")


def test_tracks_by_artist_counts_known_artists() -> None:
    tracks = pd.DataFrame({"genre": ["jazz"] * 3 + ["polka"], "artist": ["a", "a", "", ""]})
    text = spoken(plots.tracks_by_artist(tracks))
    assert "jazz 3 tracks of 1 known artists" in text
    assert "polka 1 tracks of 0 known artists" in text


def test_scores_say_accuracy_interval_and_baseline() -> None:
    score = Score(0.5, 0.4, 0.6, 0.1)
    text = spoken(plots.scores({"network": score}, title="One score"))
    assert text == (
        "One score. Points with intervals: network 0.50 [0.40, 0.60]; majority baseline 0.10."
    )


def test_a_confusion_matrix_names_the_commonest_mistake() -> None:
    truth, predicted = ["jazz", "jazz", "rock"], ["rock", "rock", "rock"]
    text = spoken(plots.confusion(truth, predicted, ["jazz", "rock"]))
    assert "1 of 3 on the diagonal" in text
    assert "jazz taken for rock 2 times" in text


def test_a_genre_that_is_not_in_the_matrix_is_named() -> None:
    with pytest.raises(ValueError, match="polka: not among the genres jazz, rock"):
        plots.confusion(["jazz"], ["polka"], ["jazz", "rock"])


def test_a_history_says_how_training_ended() -> None:
    assert "training accuracy 0.60, validation accuracy 0.40" in spoken(plots.history(HISTORY))


def test_probabilities_name_the_likeliest_genres_first() -> None:
    table = pd.DataFrame({"jazz": [0.2, 0.3], "rock": [0.8, 0.7]}, index=[0.0, 1.0])
    assert spoken(plots.probabilities(table)).endswith("song rock 0.75, jazz 0.25.")


def test_an_own_alternative_text_comes_before_the_automatic_one() -> None:
    ax = plots.waveform(TONE)
    assert gh.alt_text(ax, "A tone\n  of one second.") is ax
    assert spoken(ax) == "A tone of one second."


def test_a_figure_without_a_text_is_described_by_its_title_and_axes() -> None:
    ax = plt.subplots()[1]
    ax.set(title="Counts", xlabel="genre", ylabel="tracks")
    assert spoken(ax) == "Counts (genre, tracks)"


def test_a_genre_has_the_same_colour_in_every_selection() -> None:
    assert plots.genre_colors(["rock", "jazz"])["jazz"] == plots.genre_colors(["jazz"])["jazz"]


def test_own_genres_get_colours_that_differ() -> None:
    colors = plots.genre_colors(["jazz", "polka", "tango", "salsa"])
    assert len(set(colors.values())) == 4
