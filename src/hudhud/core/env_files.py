"""Read the variables of `.env`, `config/.env` and the environment."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from hudhud.core.errors import SettingsError

ENV_FILES = (Path(".env"), Path("config/.env"))


def read_environment(files: Iterable[Path] = ENV_FILES) -> dict[str, str]:
    """Return the variables of `files`, a later file winning, and over them the environment's.

    Names are in capitals; a variable without a value counts as unset and is left out.
    Raises SettingsError naming the file and the line that cannot be read.
    """
    variables: dict[str, str] = {}
    for file in files:
        for binding in parse_env_file(file):
            if binding.key is not None and binding.value is not None:
                variables[binding.key.upper()] = binding.value
    for name in sorted(os.environ, key=str.isupper):  # PORT wins over port
        if os.environ[name].strip():
            variables[name.upper()] = os.environ[name]
    return {name: value for name, value in variables.items() if value.strip()}


def parse_env_file(file: Path) -> list[Binding]:
    """Return what each line of an .env file says; nothing where there is no such file.

    Values are taken as they stand: unlike python-dotenv's default, `${NAME}` is not replaced,
    because the earlier application did not replace it either.
    Raises SettingsError naming the file and the line that cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except IsADirectoryError:  # `.env` is also a usual name for a Python environment
        return []
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not UTF-8 text: save it again as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}.") from None
    bindings = list(parse_stream(io.StringIO(text)))
    for binding in bindings:
        if binding.error:
            line = binding.original.line
            raise SettingsError(
                f"{file}, line {line}: not a line like NAME=value. Mend it, or put # before it."
            )
    return bindings
