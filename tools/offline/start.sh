#!/bin/sh
# Open lesson 1 without a network.
exec python3 "$(dirname "$0")/start.py" "$@"
