"""`python -m gtzan_helpers`: the course on the command line."""

from gtzan_helpers.cli import main

main(prog_name="python -m gtzan_helpers")
