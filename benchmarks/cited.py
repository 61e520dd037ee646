"""Write the lists that may be cited: honest divisions of GTZAN's 1000 tracks, by names alone."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from gtzan_helpers.cache import write_atomically
from gtzan_helpers.downloads import fetch_index
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import read_index
from gtzan_helpers.splits import folds

from .common import show
from .published import fault_filtered

OUT = Path(__file__).resolve().parents[1] / "docs" / "lists"


def named_tracks(index: str | Path) -> pd.DataFrame:
    """Return GTZAN's tracks by an index; same artist and title are taken for one recording."""
    tracks = read_index(index)
    tracks.insert(1, "genre", tracks["track_id"].str.split(".").str[0])
    known = (tracks["artist"] != "") & (tracks["title"] != "")
    titles = (tracks["artist"] + " / " + tracks["title"]).str.casefold()
    return tracks.assign(recording=titles.where(known, ""))


def lists(tracks: pd.DataFrame, published: str | Path | None) -> dict[str, pd.DataFrame]:
    """Return the repaired fault-filtered division and five folds by artist, a row per track."""
    repaired = tracks.assign(part=fault_filtered(tracks, published, repaired=True))
    folded = tracks.copy()
    for number, (_, test) in enumerate(folds(tracks, by="artist", seed=0)):
        folded.loc[test, "fold"] = str(number)
    return {
        "fault_filtered_repaired": repaired[repaired["part"] != ""][["track_id", "part"]],
        "artist_folds": folded[["track_id", "fold"]],
    }


@click.command()
@click.option("--index", help="Sturm's index.txt; else fetched.")
@click.option("--lists", "published", help="Folder with train_filtered.txt …; else fetched.")
@click.option("--out", default=str(OUT), show_default=True, help="Folder for the lists.")
def main(index: str | None, published: str | None, out: str) -> None:
    """Write both lists, and say how large their parts are and that no artist is shared."""
    try:
        tracks = named_tracks(index or fetch_index())
        rows = []
        for name, table in lists(tracks, published).items():
            write_atomically(Path(out) / f"{name}.csv", table.to_csv(index=False))
            (column,) = set(table) - {"track_id"}
            here = tracks.merge(table, on="track_id")
            artists = here[here["artist"] != ""].groupby("artist")[column].nunique()
            sizes = here[column].value_counts().sort_index()
            told = ", ".join(f"{part} {size}" for part, size in sizes.items())
            rows.append({"list": name, "tracks": told, "shared artists": (artists > 1).sum()})
        show(pd.DataFrame(rows))
    except CourseError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
