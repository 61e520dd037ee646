"""`python -m gtzan_helpers.benchmarks`: list the benchmarks, or run one."""

from gtzan_helpers.benchmarks import benchmarks

benchmarks(prog_name="python -m gtzan_helpers.benchmarks")
