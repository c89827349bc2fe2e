"""Count mannered words in prose; exit with 1 above the limit.

Plain prose has a concrete subject: these words mark sentences without one. Code, quoted examples
and identifiers are left out.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "emulator", "tests", "benchmarks", "docs")
MOST_PER_10_000 = 5.0
MANNERED = re.compile(
    r"\b(nobody|somebody|whoever|stands|tells|told|beside|what is|what was|came of"
    r"|meanwhile|anew|for ever)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# Fenced blocks and code spans of Markdown, double quotes, and comments that tools read.
QUOTED = re.compile(r"```.*?```|``.*?``|`[^`]*`|\"[^\"\n]*\"|“[^”]*”", re.DOTALL)
DIRECTIVE = re.compile(r"#\s*(noqa|type: ignore|fmt:|pragma|!)[^#\n]*?(--|$)")


def main() -> None:
    """Print the rate and, on request, each mannered word with its place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print every place")
    parser.add_argument("paths", nargs="*", help="files or folders; all by default")
    arguments = parser.parse_args()
    everything = [*map(str, ROOT.glob("*.md")), *(str(ROOT / folder) for folder in FOLDERS)]
    words, found = 0, Counter[str]()
    for path in _files(arguments.paths or everything):
        for line, text in _prose(path):
            plain = QUOTED.sub(" ", text)
            words += len(WORD.findall(plain))
            for match in MANNERED.finditer(plain):
                found[match[0].lower()] += 1
                if arguments.list:
                    sys.stdout.write(
                        f"{path}:{line + plain.count(chr(10), 0, match.start())}: {match[0]}\n"
                    )
    rate = found.total() * 10_000 / max(1, words)
    if arguments.list or rate > MOST_PER_10_000:
        counts = ", ".join(f"{word} {count}" for word, count in found.most_common())
        sys.stdout.write(
            f"{rate:.1f} mannered words per 10,000 ({found.total()} of {words}): {counts}\n"
        )
    if rate > MOST_PER_10_000:
        sys.exit(f"At most {MOST_PER_10_000:g}: name the subject. Places: {sys.argv[0]} --list")


def _files(paths: Iterable[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in {".py", ".md"} and "node_modules" not in file.parts:
                yield file


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield 1, source
        return
    yield from _docstrings(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], DIRECTIVE.sub("", token.string)


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield node.body[0].lineno, text


if __name__ == "__main__":
    main()
