"""Parsed pages, checked against a strict content security policy."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """A page's elements, loaded files, and parts that need 'unsafe-inline'."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        address = found.get("src") if tag == "script" else found.get("href")
        if tag in ("script", "link"):
            self.loads.append(address or "")
        if tag == "style" or (tag == "script" and not address):
            self.inline.append(tag)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element without content."""
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        """Record a text."""
        self.text += data

    def attributes(self, tag: str, **wanted: str) -> dict[str, str]:
        """Return the attributes of the first element with all of `wanted`."""
        for name, found in self.elements:
            if name == tag and wanted.items() <= found.items():
                return found
        raise AssertionError(f"There is no <{tag}> with {wanted}")

    def has(self, tag: str, **wanted: str) -> bool:
        """Return whether there is such an element."""
        return any(name == tag and wanted.items() <= found.items() for name, found in self.elements)
