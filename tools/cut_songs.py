"""Cut the songs that come with the package from the recordings that they were taken from.

FOLDER holds the recordings and their licence texts as https://github.com/librosa/data has them,
called like the songs in gtzan_helpers/songs/songs.csv. Each is cut to its loudest 30 seconds, the
first second left out, in which a recorder may click; a shorter one stays whole. Songs and texts are
written beside the table, and what was changed, with each song's checksum, into it.

python tools/cut_songs.py FOLDER
"""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pooch
import soundfile as sf

from gtzan_helpers.audio import read_audio
from gtzan_helpers.datasets import SONGS

COPIES = "https://github.com/librosa/data"
SAMPLE_RATE = 22050
SECONDS = 30
FIRST = 1  # second from which on a stretch may start
FADE_SECONDS = 0.1
# Where the mean is farther from zero, the recorder has put it there: it would be counted as
# loudness by whoever measures the song, and be heard as a click where it starts and ends.
LARGEST_MEAN = 0.01
COMPRESSION = 0.4  # 0 is the best quality: with this, six songs take about a megabyte


def cut_song(samples: np.ndarray) -> tuple[np.ndarray, str]:
    """Return what the course keeps of a recording, and what was done to it in words."""
    start = None if len(samples) <= SECONDS * SAMPLE_RATE else loudest(samples)
    if start is None:
        changed = f"All {len(samples) / SAMPLE_RATE:.1f} s of the copy"
    else:
        samples = samples[start * SAMPLE_RATE :][: SECONDS * SAMPLE_RATE]
        changed = f"Cut to {SECONDS} s from {start} s on of the copy"
    changed += f" at {COPIES}, made mono at {SAMPLE_RATE // 1000} {SAMPLE_RATE % 1000:03} Hz"
    if abs(samples.mean()) > LARGEST_MEAN:
        samples = samples - samples.mean()
        changed += ", its constant offset taken away"
    return (samples if start is None else fade(samples)), changed


def loudest(samples: np.ndarray) -> int:
    """Return the whole second at which the stretch with the largest RMS around its mean starts."""
    starts = range(FIRST, max(len(samples) // SAMPLE_RATE - SECONDS, FIRST) + 1)
    return max(starts, key=lambda at: samples[at * SAMPLE_RATE :][: SECONDS * SAMPLE_RATE].std())


def fade(samples: np.ndarray) -> np.ndarray:
    """Let a stretch begin and end softly, where it was cut out."""
    length = round(FADE_SECONDS * SAMPLE_RATE)
    rise = np.sin(np.linspace(0, np.pi / 2, length)) ** 2
    return samples * np.concatenate([rise, np.ones(len(samples) - 2 * length), rise[::-1]])


def encode(samples: np.ndarray) -> bytes:
    """Store as Ogg Vorbis, the same bytes each time.

    libsndfile draws the serial number that each page of the file repeats; here it is 0, and the
    pages' checksums follow.
    """
    file = io.BytesIO()
    options = {"format": "OGG", "subtype": "VORBIS", "compression_level": COMPRESSION}
    sf.write(file, samples, SAMPLE_RATE, **options)
    ogg, pages, place = file.getvalue(), [], 0
    while place < len(ogg):
        table = place + 27 + ogg[place + 26]  # the end of the table of lengths in a page's header
        end = table + sum(ogg[place + 27 : table])
        page = bytearray(ogg[place:end])
        page[14:18] = page[22:26] = bytes(4)
        page[22:26] = page_checksum(page).to_bytes(4, "little")
        pages.append(page)
        place = end
    return b"".join(pages)


def page_checksum(page: bytes) -> int:
    """Return the checksum of an Ogg page (RFC 3533): a CRC whose bits run the other way in zlib."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x104C11DB7 if crc >> 31 else 0)
    return crc


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Cut the songs from the recordings in FOLDER, and fill in their table."""
    songs = pd.read_csv(SONGS / "songs.csv").set_index("song")
    songs[["changed", "sha256"]] = ""
    for song in songs.index:
        samples, changed = cut_song(read_audio(folder / f"{song}.ogg", SAMPLE_RATE))
        path = SONGS / f"{song}.ogg"
        path.write_bytes(encode(samples))
        licence = (folder / f"{song}.txt").read_text(encoding="utf-8").rstrip("\n")
        path.with_suffix(".txt").write_bytes(f"{licence}\n{changed}.\n".encode())
        songs.loc[song, ["changed", "sha256"]] = changed, pooch.file_hash(path)
        click.echo(f"{song}: {changed}; {path.stat().st_size / 1000:.0f} kB")
    (SONGS / "songs.csv").write_bytes(songs.to_csv(lineterminator="\n").encode())


if __name__ == "__main__":
    main()
