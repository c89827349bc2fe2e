"""Read variables from `.env`, `config/.env` and the environment."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from hudhud.core.errors import SettingsError

ENV_FILES = (Path(".env"), Path("config/.env"))


def read_environment(files: Iterable[Path] = ENV_FILES) -> dict[str, str]:
    """Return the variables of `files` and the environment, the later source winning.

    Names are upper-cased; variables without a value count as unset and are left out.
    Raises SettingsError, which names the unreadable file and line.
    """
    variables: dict[str, str] = {}
    for file in files:
        for binding in parse_env_file(file):
            if binding.key is not None and binding.value is not None:
                variables[binding.key.upper()] = binding.value
    for name in sorted(os.environ, key=str.isupper):  # PORT overrides port
        if os.environ[name].strip():
            variables[name.upper()] = os.environ[name]
    return {name: value for name, value in variables.items() if value.strip()}


def parse_env_file(file: Path) -> list[Binding]:
    """Parse an .env file; a missing file has no lines.

    `${NAME}` in values is not expanded, unlike python-dotenv's default, because the earlier
    application did not expand it either.
    Raises SettingsError, which names the unreadable file and line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except IsADirectoryError:  # `.env` is also a common name for a virtual environment
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
                f"{file}, line {line}: not of the form NAME=value. Correct it, or put # before it."
            )
    return bindings
