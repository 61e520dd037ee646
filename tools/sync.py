"""Bring in line what must say the same in several places.

The repository's address stands in pyproject.toml; README's badges and commands, and the first cell
of every notebook, follow. README's pictures are the stored figures of the lesson cells with tags
like "picture-leak", which becomes docs/leak.png.

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
PICTURE = re.compile(r"!\[.*\]\(docs/([\w-]+)\.png\)")
TAG = "picture-"


def repository(root: Path = ROOT) -> str:
    """Return the owner and the name of the repository, from the one place where they stand."""
    content = (root / "pyproject.toml").read_text(encoding="utf-8")
    address = tomllib.loads(content)["project"]["urls"]["Repository"]
    return address.rstrip("/").removeprefix("https://github.com/")


def pictures(root: Path = ROOT) -> dict[str, tuple[bytes, str]]:
    """Return README's pictures by name, and what they show in words, as the lessons store them."""
    found = {}
    for path in sorted((root / "notebooks").glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            tags = [tag for tag in cell["metadata"].get("tags", []) if tag.startswith(TAG)]
            for output in cell["outputs"] if tags else []:
                if png := output.get("data", {}).get("image/png"):
                    alt = output["metadata"]["image/png"]["alt"]
                    found[tags[0].removeprefix(TAG)] = base64.b64decode("".join(png)), alt
    return found


def drifted(root: Path = ROOT) -> dict[Path, bytes]:
    """Return the files that say something else than they should, with what they should hold."""
    stored = pictures(root)
    wanted = {root / "docs" / f"{name}.png": png for name, (png, _) in stored.items()}
    for path in [root / "README.md", *sorted((root / "notebooks").rglob("0*.ipynb"))]:
        text = ADDRESS.sub(rf"\g<1>{repository(root)}", path.read_bytes().decode("utf-8"))
        if path.name == "README.md":
            text = PICTURE.sub(lambda shown: _described(shown[1], stored), text)
        wanted[path] = text.encode("utf-8")
    return {
        path: content
        for path, content in wanted.items()
        if not path.exists() or path.read_bytes() != content
    }


def _described(name: str, stored: dict[str, tuple[bytes, str]]) -> str:
    if name not in stored:
        raise ValueError(f'README shows {name}.png: no lesson stores a figure tagged "{TAG}{name}"')
    return f"![{stored[name][1]}](docs/{name}.png)"


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
