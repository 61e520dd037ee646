"""Run the commands: `python -m gtzan_helpers --help`."""

import sys

try:
    from gtzan_helpers.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing: pip install {error.name}")
except ImportError as error:
    sys.exit(f"{error.name} is damaged ({error}): install it anew")

main(prog_name="python -m gtzan_helpers")
