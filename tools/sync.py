"""Bring in line what must say the same in several places.

The repository's address stands in pyproject.toml; README's badges and commands, and the first cell
of every notebook, follow. README's picture is the stored figure of the lesson cell that carries the
tag "picture".

python tools/sync.py            writes them
python tools/sync.py --check    only says which have drifted; exit code 1 if any has
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(
    r"(mybinder\.org/v2/gh/|colab\.research\.google\.com/github/|git clone https://github\.com/"
    r"|git\+https://github\.com/)[\w.-]+/[\w.-]+"
)
PICTURE = re.compile(r"!\[.*\]\(docs/picture\.png\)")


def repository(root: Path = ROOT) -> str:
    """Return the owner and the name of the repository, from the one place where they stand."""
    content = (root / "pyproject.toml").read_text(encoding="utf-8")
    address = tomllib.loads(content)["project"]["urls"]["Repository"]
    return address.rstrip("/").removeprefix("https://github.com/")


def picture(root: Path = ROOT) -> tuple[bytes, str]:
    """Return README's picture and what it shows in words, from the lesson that stores it."""
    for path in sorted((root / "notebooks").glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if "picture" not in cell["metadata"].get("tags", []):
                continue
            for output in cell["outputs"]:
                if png := output.get("data", {}).get("image/png"):
                    alt = output["metadata"]["image/png"]["alt"]
                    return base64.b64decode("".join(png)), alt
    raise ValueError('no lesson stores a figure in a cell with the tag "picture": README shows one')


def drifted(root: Path = ROOT) -> dict[Path, bytes]:
    """Return the files that say something else than they should, with what they should hold."""
    png, alt = picture(root)
    wanted = {root / "docs" / "picture.png": png}
    for path in [root / "README.md", *sorted((root / "notebooks").rglob("0*.ipynb"))]:
        text = ADDRESS.sub(rf"\g<1>{repository(root)}", path.read_bytes().decode("utf-8"))
        if path.name == "README.md":
            text = PICTURE.sub(lambda _: f"![{alt}](docs/picture.png)", text)
        wanted[path] = text.encode("utf-8")
    return {
        path: content
        for path, content in wanted.items()
        if not path.exists() or path.read_bytes() != content
    }


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file has drifted.")
def main(check: bool) -> None:
    """Write what follows from pyproject.toml and from the lessons."""
    files = drifted()
    for path, content in files.items():
        if not check:
            path.write_bytes(content)
        click.echo(f"{path.relative_to(ROOT)} {'has drifted' if check else 'written'}")
    if check and files:
        sys.exit("Run `python tools/sync.py` to bring them in line.")


if __name__ == "__main__":
    main()
