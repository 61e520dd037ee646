"""Figures that a lesson shows more than once, in one style, each with alternative text.

Every function makes Matplotlib axes (or takes them), draws, and returns them. What a screen reader
says of a figure is set with `alt_text`; `use_style` sees to it that it is stored with the figure
in the notebook.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from numpy.typing import NDArray

from .evaluation import Score, commonest_confusions

# Paul Tol's "muted" palette, which colour-blind readers tell apart, and black:
# https://personal.sron.nl/~pault/
_GTZAN_COLORS = {
    "blues": "#332288",
    "classical": "#CC6677",
    "country": "#DDCC77",
    "disco": "#117733",
    "hiphop": "#88CCEE",
    "jazz": "#882255",
    "metal": "#44AA99",
    "pop": "#000000",
    "reggae": "#AA4499",
    "rock": "#999933",
}
# Two colours that are no genre's.
INK, ACCENT = "#222222", "#D55E00"

_STYLE = {
    "figure.figsize": (8.0, 3.6),
    "figure.dpi": 90,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlesize": 12,
    "axes.prop_cycle": mpl.cycler(color=[INK, ACCENT, *list(_GTZAN_COLORS.values())[3:]]),
    "font.size": 11,
    "image.cmap": "magma",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


# For names in other scripts, where the machine has one of them.
_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Yu Gothic"),
    *("Microsoft YaHei", "Malgun Gothic", "Arial Unicode MS"),
)


def use_style() -> None:
    """Set the course's figure style, and store alternative text with every figure shown.

    Outside IPython only the style is set.
    """
    from IPython import get_ipython

    known = {font.name for font in fontManager.ttflist}
    families = ["sans-serif", *(name for name in _FONTS if name in known)]
    plt.rcParams.update(_STYLE | {"font.family": families})
    if shell := get_ipython():
        # A MIME bundle comes before the PNG formatter, which the inline backend replaces.
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _with_alt_text)


def alt_text(ax: Axes | Sequence[Axes] | NDArray, text: str) -> Axes | Sequence[Axes]:
    """Say what a figure shows, for those who cannot see it.

    What is written in the figure is taken as it stands: names with $ or _ are no formulas.

    Parameters
    ----------
    ax : Axes, or several
        Any axes of the figure.
    text : str
        What a reader would see: kind of figure, axes, finding.

    Returns
    -------
    `ax`, unchanged

    Examples
    --------
    >>> ax = plt.subplots()[1]
    >>> _ = gh.alt_text(ax, "Bars of the tracks of each genre: jazz 10, rock 12.")

    Lesson: 01_explore_the_data.
    """
    figure = np.ravel(np.asarray(ax, dtype=object))[0].figure
    figure._alt_text = " ".join(_printable(text).split())
    for label in figure.findobj(Text):
        # Matplotlib's own labels of logarithmic axes are formulas.
        if label.get_text() and "\\mathdefault" not in label.get_text():
            label.set(text=_printable(label.get_text()), parse_math=False)
    return ax


def alt_text_of(figure: Figure) -> str:
    """Return what `alt_text` said of a figure, or else the titles of its axes."""
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in figure.axes]
    return getattr(figure, "_alt_text", "") or "; ".join(filter(None, titles))


def genre_colors(genres: Sequence[str]) -> dict[str, str]:
    """Give each genre its colour: GTZAN's ten always the same one, others what is left.

    Parameters
    ----------
    genres : sequence of str
        All genres of the data; for genres that are not GTZAN's, others may change their colour.

    Returns
    -------
    dict of genre to a hexadecimal colour

    Examples
    --------
    >>> gh.plots.genre_colors(["jazz", "rock"])
    {'jazz': '#882255', 'rock': '#999933'}

    Lesson: 02_extract_features.
    """
    colors = {g: _GTZAN_COLORS[g] for g in genres if g in _GTZAN_COLORS}
    palette = list(_GTZAN_COLORS.values())
    left = [c for c in palette if c not in colors.values()] or palette
    return colors | dict(zip(sorted(set(genres) - set(colors)), cycle(left), strict=False))


def waveform(
    samples: NDArray,
    sample_rate: int = 22050,
    *,
    start: float = 0.0,
    title: str = "Waveform",
    ax: Axes | None = None,
) -> Axes:
    """Draw amplitude over time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.
    start : float
        The time of the first sample, in seconds.
    title : str
        States what the figure shows.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.waveform(gh.read_audio(track.path), title=track.genre)

    Lesson: 01_explore_the_data.
    """
    ax = ax or plt.subplots(figsize=(8, 2.4))[1]
    seconds = start + np.arange(len(samples)) / sample_rate
    ax.plot(seconds, samples, linewidth=0.6 if len(samples) > 2000 else 1.4)
    ax.set(title=title, xlabel="time (s)", ylabel="amplitude")
    ax.margins(x=0)
    length, peak = len(samples) / sample_rate, np.abs(samples).max(initial=0)
    text = f"{title}: amplitude over {length:.3g} seconds, largest absolute value {peak:.2f}."
    return alt_text(ax, text)


def spectrum(
    samples: NDArray, sample_rate: int = 22050, *, ax: Axes | None = None, **line: object
) -> Axes:
    """Draw how much of each frequency a recording holds, on average (Welch's method).

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.
    ax : Axes, optional
        Axes that hold one spectrum already can take another.
    **line
        What Matplotlib's `plot` takes, such as a label for the legend and a color.

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.spectrum(gh.read_audio(track.path), label=track.genre)

    Lesson: 04_slice_waveforms.
    """
    from scipy.signal import welch

    ax = ax or plt.subplots()[1]
    # A tenth of a second at any rate, so that spectra of different rates can be compared.
    frequencies, power = welch(samples, sample_rate, nperseg=min(sample_rate // 10, len(samples)))
    ax.plot(frequencies, 10 * np.log10(power + 1e-12), **line)
    ax.set(title="Spectrum", xlabel="frequency (Hz)", ylabel="power (dB)")
    if "label" in line:
        ax.legend()
    return alt_text(ax, f"Spectrum: power in decibels up to {frequencies[-1]:.0f} Hz.")


def spectrogram(
    samples: NDArray,
    sample_rate: int = 22050,
    *,
    mel: bool = False,
    title: str = "Spectrogram",
    ax: Axes | None = None,
) -> Axes:
    """Draw which frequencies sound when, in decibels below the loudest.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform.
    sample_rate : int
        Hz.
    mel : bool
        Use the mel scale, whose steps sound equally far apart.
    title : str
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.spectrogram(gh.read_audio(track.path), mel=True)

    Lesson: 02_extract_features.
    """
    import librosa.display

    ax = ax or plt.subplots()[1]
    if mel:
        power, scale = librosa.feature.melspectrogram(y=samples, sr=sample_rate), "mel"
    else:
        power, scale = np.abs(librosa.stft(samples)) ** 2, "log"
    decibels, look = librosa.power_to_db(power, ref=np.max), {"vmin": -80, "vmax": 0, "ax": ax}
    image = librosa.display.specshow(decibels, sr=sample_rate, x_axis="time", y_axis=scale, **look)
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (Hz)")
    ax.figure.colorbar(image, ax=ax, format="%+d dB", pad=0.01)
    named = "mel-scaled" if mel else "logarithmic"
    text = f"{title}: brightness shows level in decibels over time and {named} frequency."
    return alt_text(ax, text)


def tracks_by_artist(
    tracks: pd.DataFrame, *, title: str = "Tracks per genre, one piece an artist"
) -> Axes:
    """Draw one bar a genre, each artist one piece of it, those with most tracks first.

    Parameters
    ----------
    tracks : DataFrame with columns genre, artist
        An artist of "" is unknown, and drawn pale.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.tracks_by_artist(gh.load_tracks())

    Lesson: 01_explore_the_data.
    """
    genres = sorted(tracks["genre"].unique())
    ax = plt.subplots(figsize=(8, 0.35 * len(genres) + 1.2))[1]
    colors, parts = genre_colors(genres), []
    for row, genre in enumerate(genres):
        counts = tracks.loc[tracks["genre"] == genre, "artist"].value_counts()
        known = counts.drop("", errors="ignore")
        look = {"edgecolor": "white", "linewidth": 1.5}
        ax.barh(row, known, left=known.cumsum() - known, color=colors[genre], **look)
        ax.barh(row, counts.sum() - known.sum(), left=known.sum(), color="#DDDDDD", **look)
        parts.append(f"{genre} {counts.sum()} tracks of {len(known)} known artists")
    ax.set(title=title, xlabel="tracks")
    ax.set_yticks(range(len(genres)), map(_printable, genres))
    ax.invert_yaxis()
    return alt_text(ax, f"Bars of tracks per genre, cut into artists: {'; '.join(parts)}.")


def scores(results: Mapping[str, Score], *, title: str = "Accuracy") -> Axes:
    """Draw accuracies with their intervals, one line each, beside the majority baseline.

    Parameters
    ----------
    results : mapping of name to Score
        Drawn from top to bottom in the order given.
    title : str
        States what the scores show.

    Returns
    -------
    Axes

    Examples
    --------
    >>> results = {"CNN": gh.accuracy_interval(truth, predicted)}
    >>> ax = gh.plots.scores(results)

    Lesson: 03_dense_network.
    """
    table, majority = pd.DataFrame(results.values()), list(results.values())[-1].majority
    ax = plt.subplots(figsize=(8, 0.5 * len(table) + 1.4))[1]
    ax.hlines(table.index, table["low"], table["high"], INK, linewidth=3, alpha=0.35)
    ax.plot(table["accuracy"], table.index, "o", color=INK, markersize=8)
    for row, accuracy in table["accuracy"].items():
        ax.text(accuracy, row - 0.2, f"{accuracy:.2f}", ha="center")
    ax.axvline(majority, color=ACCENT, linestyle="--")
    ax.text(majority, -0.55, " majority", color=ACCENT)
    ax.set(title=title, xlabel="accuracy, with 95 % interval", xlim=(0, 1.02))
    ax.set_yticks(table.index, map(_printable, results))
    ax.set_ylim(len(table) - 0.5, -0.75)
    listed = "; ".join(
        f"{n} {s.accuracy:.2f} [{s.low:.2f}, {s.high:.2f}]" for n, s in results.items()
    )
    text = f"{title}. Points with intervals: {listed}; majority baseline {majority:.2f}."
    return alt_text(ax, text)


def confusion(
    truth: Sequence[str],
    predicted: Sequence[str],
    genres: Sequence[str],
    *,
    title: str = "Confusion matrix",
) -> Axes:
    """Draw how often each genre was taken for each other: true genres in rows, counts in cells.

    Parameters
    ----------
    truth, predicted : sequence of str, one entry a track
    genres : sequence of str
        Order of rows and columns.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.confusion(["jazz", "rock"], ["rock", "rock"], ["jazz", "rock"])

    Lesson: 03_dense_network.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    if unknown := sorted({*truth, *predicted} - set(genres)):
        raise ValueError(f"{', '.join(unknown)}: not among the genres {', '.join(genres)}")
    ax = plt.subplots(figsize=(6.2, 5.2))[1]
    look = {"display_labels": list(map(_printable, genres)), "cmap": "Blues", "colorbar": False}
    display = ConfusionMatrixDisplay.from_predictions(
        truth, predicted, labels=genres, ax=ax, **look
    )
    for count in display.text_.flat:
        count.set_visible(count.get_text() != "0")
    ax.set(title=title, xlabel="predicted genre", ylabel="true genre")
    plt.setp(ax.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    mistakes = [
        f"{pair.genre} taken for {pair.taken_for} {pair.times} times"
        for pair in commonest_confusions(truth, predicted).head(3).itertuples()
    ]
    listed = f"Commonest mistakes: {'; '.join(mistakes)}." if mistakes else "No mistakes."
    right = np.trace(display.confusion_matrix)
    return alt_text(ax, f"{title}: {right} of {len(truth)} on the diagonal. {listed}")


def history(table: pd.DataFrame, *, title: str = "Training") -> NDArray:
    """Draw loss and accuracy over the epochs, training beside validation.

    Parameters
    ----------
    table : DataFrame with columns epoch, loss, val_loss, accuracy, val_accuracy
        As returned by `fit`.
    title : str

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.history(gh.fit(network, training, validation))

    Lesson: 03_dense_network.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for ax, name in zip(axes, ("loss", "accuracy"), strict=True):
        ax.plot(table["epoch"], table[name], color=INK, label="training")
        ax.plot(table["epoch"], table[f"val_{name}"], color=ACCENT, ls="--", label="validation")
        ax.set(xlabel="epoch", ylabel=name)
    axes[1].set_ylim(0, 1.02)
    axes[0].legend()
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=12)
    text = f"{title}: loss and accuracy over {len(table)} epochs; at the end training accuracy "
    accuracy, validation = table[["accuracy", "val_accuracy"]].iloc[-1]
    return alt_text(axes, f"{text}{accuracy:.2f}, validation accuracy {validation:.2f}.")


def probabilities(
    table: pd.DataFrame, *, title: str = "Genre over time", top: int = 4, ax: Axes | None = None
) -> Axes:
    """Draw genre probabilities over time, the likeliest genres named at their lines' ends.

    Parameters
    ----------
    table : DataFrame
        One row a slice, indexed by its start in seconds; one column a genre.
    title : str
    top : int
        How many genres to name; the others are grey.
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.probabilities(gh.classify_song("song.mp3", models).probabilities["1-D CNN"])

    Lesson: 06_compare_and_use.
    """
    ax = ax or plt.subplots(figsize=(8, 2.8))[1]
    means = table.mean().sort_values(ascending=False)
    colors, marker = genre_colors(list(table.columns)), "o" if len(table) < 10 else ""
    for genre in means.index[top:]:
        ax.plot(table.index, table[genre], marker=marker, color="#CCCCCC", linewidth=1)
    for genre, style in zip(means.index[:top], cycle(("-", "--", "-.", ":")), strict=False):
        look = {"linestyle": style, "marker": marker, "color": _darkened(colors[genre])}
        ax.plot(table.index, table[genre], label=genre, **look)
    ax.set(title=title, xlabel="start of the slice (s)", ylabel="probability")
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    listed = ", ".join(f"{genre} {mean:.2f}" for genre, mean in means[:top].items())
    return alt_text(ax, f"{title}: mean probability over the song {listed}.")


def song(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> NDArray:
    """Draw what several networks make of a song, one under the other, over the same time.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        As `probabilities` takes them.
    title : str
        Such as the song's name.

    Returns
    -------
    ndarray of Axes, one for each network

    Examples
    --------
    >>> axes = gh.plots.song(gh.classify_song("song.mp3", models).probabilities)
    """
    size, texts = (8, 2.4 * len(tables)), []
    figure, axes = plt.subplots(len(tables), figsize=size, sharex=True, layout="constrained")
    for ax, (name, table) in zip(np.ravel(axes), tables.items(), strict=True):
        probabilities(table, title=f"{name}: {table.mean().idxmax()}", ax=ax).label_outer()
        texts.append(alt_text_of(figure))
    figure.suptitle(title, x=0.02, ha="left")
    return alt_text(np.ravel(axes), f"{title}: {' '.join(texts)}")


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; a sign that no font has is an empty box, and not worth a word.

    With Matplotlib's own size and resolution; what is empty around the figure is cut off.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _with_alt_text(figure: Figure, **_: object) -> tuple[dict, dict]:
    """Make the MIME bundle of a figure, its alternative text in the metadata."""
    text, image = alt_text_of(figure), base64.b64encode(png(figure)).decode()
    bundle = {"image/png": image, "text/plain": f"<Figure: {text}>"}
    return bundle, {"image/png": {"alt": text}} if text else {}


def _printable(name: str) -> str:
    """Return a name with ? for each byte that is no text, which a file's name may hold."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def _darkened(color: str) -> NDArray:
    """Darken a pale colour until it reads as a line on white."""
    rgb = np.array(to_rgb(color))
    return rgb * min(1.0, 0.6 / max(rgb @ (0.299, 0.587, 0.114), 1e-6))
