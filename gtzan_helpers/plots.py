"""Figures of the lessons that take more than a few lines, in one style, with alternative text.

Every function makes Matplotlib axes (or takes them), draws, and returns them. What a screen reader
says of a figure is set with `alt_text`; `use_style` sees to it that it is stored with the figure
in the notebook.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, pairwise, product

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from .evaluation import Score

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

    Lesson: 01_explore_the_data and others.
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

    Lesson: 01_explore_the_data and others.
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

    Lesson: 01_explore_the_data, 02_see_sound, 06_slice_waveforms.
    """
    ax = ax or plt.subplots(figsize=(8, 2.4))[1]
    seconds = start + np.arange(len(samples)) / sample_rate
    ax.plot(seconds, samples, linewidth=0.6 if len(samples) > 2000 else 1.4)
    ax.set(title=title, xlabel="time (s)", ylabel="amplitude")
    ax.margins(x=0)
    length, peak = len(samples) / sample_rate, np.abs(samples).max(initial=0)
    text = f"{title}: amplitude over {length:.3g} seconds, largest absolute value {peak:.2f}."
    return alt_text(ax, text)


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

    Lesson: 03_extract_features.
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

    Lesson: 04_test_honestly and others.
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

    Lesson: 05_dense_network, 07_cnn_1d.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for ax, name in zip(axes, ("loss", "accuracy"), strict=True):
        ax.plot(table["epoch"], table[name], color=INK, label="training")
        ax.plot(table["epoch"], table[f"val_{name}"], color=ACCENT, ls="--", label="validation")
        ax.set(xlabel="epoch", ylabel=name)
    axes[1].set_ylim(0, 1.02)
    axes[0].legend()
    _head(figure, title)
    text = f"{title}: loss and accuracy over {len(table)} epochs; at the end training accuracy "
    accuracy, validation = table[["accuracy", "val_accuracy"]].iloc[-1]
    return alt_text(axes, f"{text}{accuracy:.2f}, validation accuracy {validation:.2f}.")


def windows(
    tables: Mapping[str, pd.DataFrame], seconds: Mapping[str, float], *, title: str = ""
) -> NDArray:
    """Draw which genre networks named in each window of a song, as bars as wide as they listened.

    Parameters
    ----------
    tables : mapping of name to DataFrame
        A row a window, indexed by its start in seconds; a column of probabilities per genre, each a
        lane of the figure. The bar of a window lies in the lane of the likeliest genre.
    seconds : mapping of name to float
        How long each network's windows are.
    title : str

    Returns
    -------
    ndarray of Axes, one for each network

    Examples
    --------
    >>> heard = gh.classify_song("song.mp3")
    >>> axes = gh.plots.windows(heard.probabilities, heard.widths, title="My song")

    Lesson: 08_compare_and_use.
    """
    size, texts = (8, 2.4 * len(tables) + 0.4), []
    axes = plt.subplots(len(tables), figsize=size, sharex=True, layout="constrained")[1]
    for ax, (name, table) in zip(np.ravel(axes), tables.items(), strict=True):
        genres, wide, said = list(table.columns), seconds[name], table.idxmax(axis=1)
        # Windows overlap: each lies a little higher or lower than the one before.
        lanes = said.map(genres.index) + np.where(np.arange(len(table)) % 2, 0.2, -0.2)
        colors = said.map(genre_colors(genres)).map(_darkened).tolist()
        look = {"edgecolor": "w", "linewidth": float(len(table) < 40)}
        ax.barh(lanes, wide, 0.4, table.index, color=colors, **look)
        if len(table) < 10:
            for start, lane in lanes.items():
                sure = f" {table.loc[start].max():.0%}"
                ax.text(start, lane, sure, color="w", va="center_baseline", size=9)
        ax.set(title=f"{name}, {wide:.0f} s at a time", ylim=(len(genres) - 0.4, -0.6))
        ax.set_yticks(range(len(genres)), map(_printable, genres))
        for genre, starts in table.index.to_series().groupby(said):
            times = f"{len(starts)} of {len(table)} times, first at {starts.iloc[0]:g} s"
            texts.append(f"{name} says {genre} {times}")
    np.ravel(axes)[-1].set_xlabel("time (s)")
    np.ravel(axes)[0].figure.suptitle(title, x=0.02, ha="left", weight="bold")
    return alt_text(np.ravel(axes), f"{title}: {'; '.join(texts)}.")


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; a sign that no font has is an empty box, and not worth a word.

    With Matplotlib's own size and resolution; what is empty around the figure is cut off.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def plane(
    points: NDArray,
    genres: Sequence[str],
    borders: Mapping[str, Callable[[NDArray], ArrayLike]],
    *,
    labels: Sequence[str],
    title: str = "Two features",
) -> Axes:
    """Draw tracks by two of their features, and where classifiers give a probability of one half.

    Parameters
    ----------
    points : ndarray, shape (n_tracks, 2)
    genres : sequence of str, one entry a track
    borders : mapping of name to function
        Each takes points, (n, 2), and returns n probabilities. Drawn from pale to black.
    labels : sequence of two str
        Names of the features.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.plane(x, genres, {"border": network.predict}, labels=["loudness", "notes"])

    Lesson: 05_dense_network.
    """
    ax = plt.subplots(figsize=(8, 4.4))[1]
    colors = genre_colors(sorted({*genres}))
    for marker, (genre, color) in zip("osDv^", colors.items(), strict=False):
        chosen = points[np.asarray(genres) == genre].T
        look = {"color": color, "markeredgecolor": INK, "markeredgewidth": 0.5, "alpha": 0.8}
        ax.plot(*chosen, marker, markersize=6, label=genre, **look)
    grid = np.meshgrid(*np.linspace(points.min(0) - 0.3, points.max(0) + 0.3, 200).T)
    looks = [*zip(np.linspace(0, 0.6, len(borders)), cycle(("-", "--", "-.", ":")), strict=False)]
    for (name, answer), (shade, style) in zip(borders.items(), looks[::-1], strict=True):
        height = np.reshape(answer(np.stack(grid, axis=-1).reshape(-1, 2)), grid[0].shape)
        look = {"colors": str(shade), "linestyles": style, "linewidths": 2}
        ax.contour(*grid, height, levels=[0.5], **look)
        ax.plot([], [], color=str(shade), linestyle=style, linewidth=2, label=name)
    ax.set(title=title, xlabel=labels[0], ylabel=labels[1])
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    text = f"{title}. {len(points)} tracks by {labels[0]} and {labels[1]}; borders: "
    return alt_text(ax, f"{text}{', '.join(borders)}.")


def network(sizes: Mapping[str, int], *, title: str = "A network") -> Axes:
    """Draw a network of dense layers: each is a column of dots, with an arrow to the next.

    Parameters
    ----------
    sizes : mapping of a layer's name to its numbers
        From the inputs to the outputs; of many, only some are drawn.
    title : str

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = gh.plots.network({"features": 57, "hidden": 16, "genres": 5})

    Lesson: 05_dense_network.
    """
    ax, shown, columns = plt.subplots(figsize=(8, 3.8))[1], 8, []
    for place, (name, size) in enumerate(sizes.items()):
        heights = np.arange(min(size, shown)) - (min(size, shown) - 1) / 2
        if size > shown:  # a gap stands for those left out
            heights = np.where(heights > 0, heights + 0.5, heights - 0.5)
            ax.text(place, 0, "⋮", ha="center", va="center", fontsize=15)
        columns.append(heights)
        ax.plot([place] * len(heights), heights, "o", color=INK, markersize=9, zorder=3)
        ax.text(place, shown / 2 + 0.7, f"{name}\n{size}", ha="center")
    arrow = {"arrowstyle": "->", "color": ACCENT, "linewidth": 2}
    for place, (before, after) in enumerate(pairwise(columns)):
        ends = np.transpose([*product(before, after)])
        ax.plot([place, place + 1], ends, color="0.75", linewidth=0.5)
        ax.annotate("", (place + 0.85, -5), (place + 0.15, -5), arrowprops=arrow)
    for place, (one, other) in enumerate(pairwise(sizes.values())):
        weights = f"{one * other:,}\nweights".replace(",", " ")
        ax.text(place + 0.5, -5.3, weights, ha="center", va="top")
    ax.set(title=title, ylim=(-7, shown / 2 + 2))
    ax.axis("off")
    listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
    return alt_text(ax, f"{title}. Columns of dots, each joined to all of the next: {listed}.")


def slices(samples: NDArray, *, near: float) -> NDArray:
    """Draw a waveform and its slices of 2 s, one each second: whole, and near a border.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Mono waveform at 22 050 Hz.
    near : float
        The time of an onset shortly before a border, in seconds.

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.slices(gh.read_audio(track.path), near=3.92)

    Lesson: 06_slice_waveforms.
    """
    axes = plt.subplots(2, 1, figsize=(8, 5.2), layout="constrained")[1]
    starts = np.arange(0, len(samples) / 22050 - 2 + 1e-9)
    row = np.arange(len(starts)) % 2
    peak, border = np.abs(samples).max(), near + -near % 2
    for ax in axes:
        waveform(samples, title=f"{len(starts)} slices of 2 s", ax=ax)
        for added, color in ((False, INK), (True, ACCENT)):
            x, y = starts[(row > 0) == added], row[(row > 0) == added]
            label = "added by overlap" if added else "without overlap"
            ends, look = (x + 0.03, x + 1.97), {"linewidth": 6, "label": label}
            ax.hlines(-peak * (1.4 + 0.45 * y), *ends, color, **look)
    axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[1].set_title("The border tears a note apart; a slice added by overlap has it whole")
    axes[1].set_xlim(near - 1.1, near + 1.4)
    axes[1].axvline(border, color=ACCENT, linestyle="--")
    text, arrow = (near - 0.4, 0.84 * peak), {"arrowstyle": "->"}
    axes[1].annotate("onset", (near, 0.9 * peak), text, arrowprops=arrow)
    whole = f"A waveform, and below it {len(starts)} bars, its slices, in rows: those that lie end "
    whole += f"to end, and {(row > 0).sum()} added by overlap. In detail, a note begins at "
    whole += f"{near:.2f} s, shortly before a border at {border:g} s; an added slice has it whole."
    return alt_text(axes, whole)


def layers(table: pd.DataFrame, *, title: str) -> NDArray:
    """Draw a waveform network: what leaves each layer, and how much sound one number has heard.

    Parameters
    ----------
    table : DataFrame with columns layer, channels, length, heard
        One row a layer, the first one on top; `heard` is in milliseconds.
    title : str

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.layers(layout, title="Shorter and richer, layer by layer")

    Lesson: 07_cnn_1d.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True, layout="constrained")
    share = np.log2(table["channels"]) / np.log2(table["channels"].max())
    boxes = axes[0].barh(table["layer"], table["length"], 0.08 + 0.82 * share, color="#BBBBBB")
    shapes = [f" {row.length} × {row.channels}" for row in table.itertuples()]
    axes[0].bar_label(boxes, shapes, fontsize=10)
    bars = axes[1].barh(table["layer"], table["heard"], 0.5, color=ACCENT)
    axes[1].bar_label(bars, fmt=" %.3g ms", fontsize=10)
    axes[0].set(xscale="log", xlim=(1, 1e7), xlabel="length; thicker: more channels")
    axes[1].set(xscale="log", xlim=(0.02, 2e4), xlabel="receptive field (ms)")
    axes[0].set_xticks([1, 100, 10_000], ["1", "100", "10 000"])
    axes[1].set_xticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"])
    axes[0].invert_yaxis()
    _head(figure, title)
    heard = [
        f"{row.layer}{s}, {row.heard:.3g} ms"
        for row, s in zip(table.itertuples(), shapes, strict=True)
    ]
    return alt_text(axes, f"{title}. Length × channels and receptive field: {'; '.join(heard)}.")


def filters(
    before: NDArray, after: NDArray, sample_rate: int = 22050, *, title: str, shown: int = 4
) -> NDArray:
    """Draw filters before and after training, and what all of them let through on average.

    Parameters
    ----------
    before, after : ndarray, shape (n_filters, size)
    sample_rate : int
        Hz.
    title : str
    shown : int
        How many filters to draw as waveforms: those that changed most.

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.filters(before, after, title="Training changed the filters a little")

    Lesson: 07_cnn_1d.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    looks = {"before": {"color": "#999999", "linewidth": 3}, "after": {"color": INK}}
    changed = np.abs(after - before).sum(axis=1).argsort()[::-1][:shown]
    time = 1000 * np.arange(before.shape[1]) / sample_rate
    frequencies = np.fft.rfftfreq(4096, 1 / sample_rate)
    for label, kernels in (("before", before), ("after", after)):
        power = np.mean(np.abs(np.fft.rfft(kernels, 4096, axis=1)) ** 2, axis=0)
        axes[1].plot(frequencies, 10 * np.log10(power), label=label, **looks[label])
        for place, kernel in enumerate(kernels[changed]):
            axes[0].plot(time, place + 3 * kernel, **looks[label])
    axes[0].set(xlabel="time (ms)", title=f"The {shown} that changed most")
    axes[0].set_yticks(range(shown), changed + 1)
    axes[0].set_ylabel("filter")
    axes[1].set(xscale="log", xlim=(50, sample_rate / 2), title="All filters together")
    axes[1].set(xlabel="frequency (Hz)", ylabel="mean power let through (dB)")
    axes[1].set_xticks([100, 1000, 10_000], ["100", "1000", "10 000"])
    axes[1].legend()
    _head(figure, title)
    text = f"{title}. Left: {shown} jagged waveforms before and after; right: power by frequency."
    return alt_text(axes, text)


def spectrograms(panels: Mapping[str, tuple[NDArray, int]], *, title: str, text: str) -> NDArray:
    """Draw spectrograms at 22 050 Hz side by side, each with frames of its own length.

    Parameters
    ----------
    panels : mapping of name to (ndarray, int)
        Mono waveform, and samples in a frame.
    title : str
        States the finding.
    text : str
        The alt text.

    Returns
    -------
    ndarray of Axes

    Examples
    --------
    >>> panels = {"short": (samples, 256), "long": (samples, 16384)}
    >>> axes = gh.plots.spectrograms(panels, title="Same sound", text="Two spectrograms.")

    Lesson: 02_see_sound.
    """
    import librosa.display

    size = {"figsize": (10.5, 3.6), "layout": "constrained"}
    figure, axes = plt.subplots(1, len(panels), sharey=True, **size)
    look = {"sr": 22050, "x_axis": "time", "y_axis": "log", "vmin": -80, "vmax": 0}
    for ax, (name, (samples, length)) in zip(axes, panels.items(), strict=True):
        frames = {"n_fft": length, "hop_length": length // 8}
        level = librosa.amplitude_to_db(np.abs(librosa.stft(samples, **frames)), ref=np.max)
        image = librosa.display.specshow(level, ax=ax, **frames, **look)
        ax.set(title=name, xlabel="time (s)", ylabel="", ylim=(64, 22050 / 2))
    axes[0].set_ylabel("frequency (Hz)")
    figure.colorbar(image, ax=axes, format="%d dB", pad=0.01)
    _head(figure, title)
    return alt_text(axes, text)


def leakage(waves: Mapping[str, NDArray], near: tuple[float, float]) -> NDArray:
    """Draw the edge of a frame beside its spectrum, for several frames of one tone at 22 050 Hz.

    Parameters
    ----------
    waves : mapping of name to ndarray, shape (n_samples,)
        Frames of one length; each has its own line style, the same on both sides.
    near : tuple of float
        From where to where the spectrum is drawn large, in Hz.

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.leakage({"cut off": tone, "faded": tone * window}, near=(380, 500))

    Lesson: 02_see_sound.
    """
    _, (left, right) = axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    inset = right.inset_axes([0.42, 0.1, 0.55, 0.36], xlim=near, ylim=(-60, 3))
    for (label, wave), style in zip(waves.items(), cycle(("-", "--", "-.", ":")), strict=False):
        level = 20 * np.log10(np.abs(np.fft.rfft(wave)) + 1e-12)
        hertz = np.fft.rfftfreq(len(wave), 1 / 22050)
        left.plot(np.arange(-150, 150), np.r_[wave[-150:], wave[:150]], style)
        right.plot(hertz, level - level.max(), style, label=label)
        inset.plot(hertz, level - level.max(), style, marker=".")
    inset.set_title(f"{near[0]:.0f} to {near[1]:.0f} Hz", fontsize=9, fontweight="normal")
    left.set(title="Cut off, the end does not meet the start", ylabel="amplitude")
    left.set_xlabel("samples after the frame's edge")
    right.set(title="Cut off, one tone lights up everything", ylim=(-150, 5))
    right.set(xlabel="frequency (Hz)", ylabel="level (dB)")
    right.legend(loc="upper right")
    return alt_text(
        axes[1],
        "Left: the end of the frame, then its beginning. Cut off, the tone jumps at the edge; "
        "faded, it is zero there. Right: the spectra. Cut off, the level falls to about -70 dB and "
        "no lower; faded, it is below -100 dB soon after the peak. In the inset the faded peak is "
        "broader at its top and narrower at its foot.",
    )


def curves(tables: Mapping[str, Mapping[str, NDArray]]) -> NDArray:
    """Draw curves over time below each other, one per genre, their means in the titles.

    Parameters
    ----------
    tables : mapping of name to mapping of genre to ndarray, shape (n_frames,)
        One value every 512 samples at 22 050 Hz; a name may end with a unit in brackets.

    Returns
    -------
    ndarray of Axes

    Examples
    --------
    >>> axes = gh.plots.curves({"loudness": {"jazz": librosa.feature.rms(y=samples)[0]}})

    Lesson: 02_see_sound.
    """
    size = {"figsize": (8.5, 2 * len(tables)), "layout": "constrained", "squeeze": False}
    axes = plt.subplots(len(tables), 1, sharex=True, **size)[1][:, 0]
    titles = []
    for ax, (name, genres) in zip(axes, tables.items(), strict=True):
        colors = genre_colors(list(genres))
        for (genre, curve), style in zip(genres.items(), cycle(("-", "--")), strict=False):
            seconds = np.arange(len(curve)) * 512 / 22050
            ax.plot(seconds, curve, style, linewidth=1.2, color=colors[genre], label=genre)
        means = {genre: curve.mean() for genre, curve in genres.items()}
        listed = (f"{genre} {mean:.{0 if mean >= 10 else 2}f}" for genre, mean in means.items())
        titles.append(f"Mean {name}: {', '.join(listed)}")
        ax.set(title=titles[-1], ylabel=name)
    axes[0].legend(loc="upper right", ncols=2)
    axes[-1].set_xlabel("time (s)")
    return alt_text(axes, f"Curves over time. {'. '.join(titles)}.")


def variance_parts(parts: pd.DataFrame, luck: pd.Series, *, title: str) -> NDArray:
    """Draw into which parts the variance of each feature falls, the mean, and what luck would give.

    Parameters
    ----------
    parts : DataFrame with columns genre, artist, track
        One row per feature; its parts add up to 1.
    luck : Series with entries genre, artist
        The parts that groups without meaning would get.
    title : str
        States the finding.

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = gh.plots.variance_parts(pieces, luck, title="Genre and artist explain as much")

    Lesson: 03_extract_features.
    """
    sizes = {"width_ratios": (4, 1)}
    figure, axes = plt.subplots(
        1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained", gridspec_kw=sizes
    )
    means = pd.DataFrame({"mean": parts.mean(), "luck": luck}).T.loc[:, parts.columns]
    means.loc["luck", "track"] = 1 - luck.sum()
    ordered = parts.sort_values("genre", ascending=False)
    for ax, table, width in zip(axes, (ordered, means), (1, 0.7), strict=True):
        below = table.cumsum(axis=1) - table
        for part, color in zip(table, (INK, ACCENT, "#DDDDDD"), strict=True):
            look = {"color": color, "width": width, "label": part}
            ax.bar(np.arange(len(table)), table[part], bottom=below[part], **look)
    axes[0].set(xlabel=f"{len(parts)} features, one bar each", ylabel="share of the variance")
    axes[0].set(xticks=[], ylim=(0, 1))
    axes[0].margins(x=0)
    axes[1].set_xticks(range(2), means.index)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", reverse=True)
    _head(figure, title)
    listed = "; ".join(
        f"{row}: " + ", ".join(f"{part} {share:.2f}" for part, share in means.loc[row].items())
        for row in means.index
    )
    return alt_text(axes, f"{title}. Bars of each feature's variance in three parts. {listed}.")


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


def _head(figure: Figure, title: str) -> None:
    """Write a title over all axes of a figure, as that of one axes looks."""
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=12)
