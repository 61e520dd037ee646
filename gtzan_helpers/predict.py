"""What networks say of any song: asked piece by piece, shown, and played.

Lesson: 08_compare_and_use.
"""

from __future__ import annotations

import base64
import html
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import audio, plots, pretrained
from .features import FEATURE_NAMES, track_features
from .models import (
    CNN,
    DENSE,
    PRETRAINED,
    SAMPLE_RATE,
    SLICE_SECONDS,
    Models,
    load_models,
    nearest_distances,
    tempered,
)
from .slices import cut

if TYPE_CHECKING:
    import ipywidgets

# From one slice of the CNN to the next.
HOP_SECONDS = 1.0
# A song is read in pieces of this length, so that a long one needs no more memory.
PIECE_SECONDS = 60.0
MOST_SLICES = round(PIECE_SECONDS / HOP_SECONDS) + 1
PATCHES_AT_ONCE = 20  # of musicnn, which makes a minute
# Features take a third of a second a window: of a song of hours, not all is measured.
MOST_WINDOWS = 100
SILENT = 1e-4  # the largest amplitude of a song without any sound, 80 dB below full scale
UNLIKE, UNSURE = 0.95, 0.5


@dataclass(frozen=True, repr=False)
class Prediction:
    """What networks said of a song. In a notebook it is shown as a figure above a player.

    Attributes
    ----------
    path : Path
        The song.
    seconds : float
        Its length.
    probabilities : dict of name to DataFrame
        For each network a row per slice or window, indexed by its start in seconds, and a column
        of probabilities per genre.
    distance : float
        From the song's features to those of the nearest training track, as the dense network
        scales them; the median over the windows.
    strangeness : float
        How unlike the training tracks the song is: the share of tracks that lie nearer to the
        nearest of those that were trained on when they were not. 0.5 is usual for unmet music of
        these genres, above 0.95 is not.
    widths : dict of name to float
        Length of each network's slices or windows in seconds.
    temperatures : dict of name to float
        What each network's vote is tempered with, so that it is as often right as it says.
    about : str
        What the networks know, and how far to trust them.
    """

    path: Path
    seconds: float
    probabilities: dict[str, pd.DataFrame]
    distance: float
    strangeness: float
    widths: dict[str, float] = field(default_factory=dict)
    temperatures: dict[str, float] = field(default_factory=dict)
    about: str = ""

    @property
    def name(self) -> str:
        """The song's file name, as it can be shown."""
        return audio.display_name(self.path.name)

    @property
    def overall(self) -> pd.DataFrame:
        """The vote over the whole song: mean probabilities, tempered; best genre first."""
        means = {name: table.mean() for name, table in self.probabilities.items()}
        votes = {
            name: pd.Series(tempered([mean], self.temperatures.get(name, 1.0))[0], mean.index)
            for name, mean in means.items()
        }
        votes = pd.DataFrame(votes).T
        return votes[votes.mean().sort_values(ascending=False).index]

    def verdicts(self) -> list[str]:
        """Return a line per network, then how unlike the song is to what they know."""
        lines = []
        for name, row in self.overall.iterrows():
            best = ", ".join(f"{genre} {share:.0%}" for genre, share in row.nlargest(3).items())
            unsure = " (no genre reaches one half: it is unsure)" if row.max() < UNSURE else ""
            lines.append(f"{name}: {best}{unsure}")
        unlike = ": it is unlike all that the networks know, and they can only guess."
        meaning = unlike if self.strangeness >= UNLIKE else ", which is usual."
        farther = "By its features, the song is farther from every training track than"
        unmet = "of the tracks were that such networks had not met"
        return [*lines, f"{farther} {self.strangeness:.0%} {unmet}{meaning}"]

    def picture(self) -> tuple[bytes, str]:
        """Return the figure as a PNG file, and in words for those who cannot see it."""
        figure = plots.windows(self.probabilities, self.widths, title=self.name)[0].figure
        png, words = plots.png(figure), plots.alt_text_of(figure)
        plots.plt.close(figure)
        return png, words

    def __repr__(self) -> str:
        return "\n".join([self.name, *self.verdicts(), self.about])

    def _repr_html_(self) -> str:
        png, words = self.picture()
        source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
        start = max(0.0, (self.seconds - audio.PLAYER_SECONDS) / 2)
        excerpt = audio.read_audio(self.path, SAMPLE_RATE, start, audio.PLAYER_SECONDS)
        label = f"{self.name}, from {start:.0f} s" if start else self.name
        figure = f'<img alt="{html.escape(words)}" style="max-width: 100%" src="{source}">'
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in [*self.verdicts(), self.about])
        return figure + audio.player(excerpt, SAMPLE_RATE, label).data + lines


def classify_song(
    path: str | Path, models: Models | None = None, third: bool = False
) -> Prediction:
    """Ask both networks for the genre of a song, from its beginning to its end.

    The CNN gets slices of 2 seconds, one each second; the dense network the features of windows as
    long as the tracks it learned from (of the whole song, if that is shorter), each overlapping the
    next by half, or, in songs of hours, 100 of them evenly placed. The song is read piece by piece.

    Parameters
    ----------
    path : str or path
        Any file that `read_audio` reads, of at least 2 seconds.
    models : Models, optional
        By default the networks that come with the course, trained on five genres of GTZAN.
    third : bool
        Whether to ask for a third opinion: what `musicnn` computes of each 3 seconds, and a
        logistic regression on it. It takes a second for 30.

    Returns
    -------
    Prediction

    Raises
    ------
    AudioError
        If the file cannot be read, is shorter than 2 seconds, or is silent throughout.

    Examples
    --------
    >>> gh.classify_song("song.mp3").overall

    Lesson: 08_compare_and_use, 09_go_further.
    """
    path, seconds = Path(path), audio.read_header(path, exact=True)[0]
    models = models or load_models()
    of_slices = _ask_cnn(path, seconds, models)
    # A file may hold a little less than its header says, as read_audio allows.
    longest = max(SLICE_SECONDS, seconds - audio.MISSING_SECONDS_ALLOWED)
    widths = {DENSE: min(models.track_seconds, longest), CNN: SLICE_SECONDS}
    table = _features_of_windows(path, seconds, widths[DENSE])
    features = table.to_numpy(np.float32)
    of_windows = pd.DataFrame(models.dense.predict(features, verbose=0), table.index, models.genres)
    distance = float(np.median(nearest_distances(models.dense, models.known, features)))
    strangeness = float(models.share_nearer(distance))
    tables = {DENSE: of_windows, CNN: of_slices}
    if third and models.head is not None:
        tables[PRETRAINED] = _ask_musicnn(path, seconds, models)
        widths[PRETRAINED] = pretrained.PATCH_SECONDS
    temperatures = models.card.get("temperature", pd.Series(dtype=float)).to_dict()
    about = models.described(list(tables))
    return Prediction(path, seconds, tables, distance, strangeness, widths, temperatures, about)


def choose_song(models: Models | None = None) -> ipywidgets.Widget:
    """Return a button that takes a file from the reader's machine, and shows what networks say.

    Parameters
    ----------
    models : Models, optional
        By default the networks that come with the course, trained on five genres of GTZAN.

    Returns
    -------
    ipywidgets.Widget
        For JupyterLab, Binder and Colab. Large files, of more than 10 MB or so, may not pass, on
        Colab perhaps not even one of 1 MB (issue 3452 of ipywidgets): put such a file into the
        notebook's folder, and give its path to `classify_song` instead.

    Examples
    --------
    >>> gh.choose_song()

    Lesson: 08_compare_and_use.
    """
    from IPython.display import display
    from ipywidgets import FileUpload, Output, VBox

    models = models or load_models()
    accepted = ",".join(["audio/*", *sorted(audio.AUDIO_SUFFIXES)])
    button = FileUpload(accept=accepted, description="Choose a song")
    shown = Output()

    def show(change: dict[str, object]) -> None:
        shown.clear_output()
        with shown, tempfile.TemporaryDirectory() as folder:
            for name, content in _uploaded(change["new"]):
                song = Path(folder, Path(name).name)
                song.write_bytes(content)
                try:
                    display(classify_song(song, models))
                except audio.AudioError as error:
                    print(f"{audio.display_name(song.name)}: {error.reason}; {error.way_out}")

    button.observe(show, names="value")
    return VBox([button, shown])


def _uploaded(value: tuple | dict) -> list[tuple[str, bytes]]:
    """Return name and content of the files that a button holds."""
    if isinstance(value, dict):  # of ipywidgets 7, which Colab has
        return [(name, file["content"]) for name, file in value.items()]
    return [(file["name"], file["content"]) for file in value]


def _ask_cnn(path: Path, song_seconds: float, models: Models) -> pd.DataFrame:
    """Return the CNN's probabilities for each slice of a song, indexed by the slice's start."""
    rows, loudest = [], 0.0
    # A piece reaches into the next; a hundredth of a second more must save its last slice.
    length = PIECE_SECONDS + SLICE_SECONDS - HOP_SECONDS + 0.01
    firsts = np.arange(0, song_seconds - SLICE_SECONDS + 1e-9, PIECE_SECONDS)
    for first in tqdm(firsts, "CNN", unit="piece", leave=False):
        samples = audio.read_audio(path, SAMPLE_RATE, float(first), length)
        if len(samples) < SLICE_SECONDS * SAMPLE_RATE:
            break
        slices = cut(samples, SAMPLE_RATE, SLICE_SECONDS, HOP_SECONDS)
        # Always as many, with silence behind, because JAX compiles anew for every other number.
        batch = np.zeros((MOST_SLICES, slices.shape[1]), np.float32)
        batch[: len(slices)] = slices
        answers = models.cnn.predict(batch, batch_size=MOST_SLICES, verbose=0)
        rows.extend(answers[: len(slices)])
        loudest = max(loudest, np.ptp(samples) / 2)  # about its middle: an offset is no sound
    if not rows:
        way_out = f"take at least {SLICE_SECONDS:g} s of it"
        raise audio.AudioError(path, f"lasts {song_seconds:.1f} s", way_out)
    if loudest < SILENT:
        raise audio.AudioError(path, "is silent from beginning to end", "choose one that sounds")
    starts = pd.Index(HOP_SECONDS * np.arange(len(rows)), name="start")
    return pd.DataFrame(rows, starts, models.genres)


def _ask_musicnn(path: Path, song_seconds: float, models: Models) -> pd.DataFrame:
    """Return the genres of each 3 s of a song, by musicnn."""
    answers, length = [], PATCHES_AT_ONCE * pretrained.PATCH_SECONDS
    firsts = np.arange(0, max(song_seconds - pretrained.PATCH_SECONDS, 0) + 1e-9, length)
    for first in tqdm(firsts, PRETRAINED, unit="piece", leave=False):
        samples = audio.read_audio(path, pretrained.SAMPLE_RATE, float(first), length)
        if first and len(samples) < pretrained.PATCH_SAMPLES:
            break
        answers.extend(models.ask_musicnn(samples))
    starts = pd.Index(pretrained.PATCH_SECONDS * np.arange(len(answers)), name="start")
    return pd.DataFrame(answers, starts, models.genres)


def _features_of_windows(path: Path, song_seconds: float, seconds: float) -> pd.DataFrame:
    """Return the features of windows all over a song, indexed by the window's start."""
    hop_seconds = max(seconds / 2, song_seconds / MOST_WINDOWS)
    starts = np.arange(0, song_seconds - seconds + 1e-9, hop_seconds)
    rows = [
        track_features(audio.read_audio(path, SAMPLE_RATE, float(start), seconds), SAMPLE_RATE)
        for start in tqdm(starts, "features", unit="window", leave=False)
    ]
    return pd.DataFrame(rows, pd.Index(starts, name="start"))[FEATURE_NAMES]
