"""The stanza dictionary: words encoded as one or two bytes.

The tables come from the PyPI package pyaileys. Its constants file is loaded on its own, because
importing the package would load a complete client.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def _constants() -> ModuleType:
    package = find_spec("pyaileys")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the package pyaileys with the stanza dictionary")
    path = Path(package.submodule_search_locations[0], "wabinary", "constants.py")
    spec = spec_from_file_location("waemu._stanza_dictionary", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no stanza dictionary at {path}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_tables = _constants()

SINGLE: list[str] = _tables.SINGLE_BYTE_TOKENS
DOUBLE: list[list[str]] = _tables.DOUBLE_BYTE_TOKENS
SINGLE_INDEX = {word: index for index, word in enumerate(SINGLE) if word}
DOUBLE_INDEX = {
    word: (table, index) for table, words in enumerate(DOUBLE) for index, word in enumerate(words)
}
