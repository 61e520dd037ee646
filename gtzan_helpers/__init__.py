"""Helpers of the course on music genre classification: `import gtzan_helpers as gh`.

Names are loaded when they are first used, so that the import itself is quick and Keras is
imported only by what needs it. The list of public names is in `__init__.pyi`.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    import lazy_loader
except ModuleNotFoundError as error:
    if sys.argv[:1] != ["-m"]:
        raise
    sys.exit(f"{error.name} is missing: pip install {error.name}")  # python -m gtzan_helpers

# Here, and not in the rooms that need them, because a lesson may import Keras before those.
os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "jax"
# LLVM's third level makes no network here faster than its second, and takes longer: 6 s and not 2
# for the programs that draw the first weights of lesson 7's, one for each shape.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=2")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Numba keeps what it compiles of librosa there or in the user's cache, and without both it stops.
_librosa = find_spec("librosa")
if _librosa and _librosa.origin and not os.access(Path(_librosa.origin).parent, os.W_OK):
    from .cache import let_numba_start

    let_numba_start()
