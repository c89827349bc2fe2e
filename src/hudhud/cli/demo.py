"""`hudhud demo`: see a code arrive, without a phone and without WhatsApp."""


def demo() -> None:
    """Watch a code arrive."""
