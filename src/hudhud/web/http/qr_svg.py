"""QR codes as SVG, dark on white because phones require that."""

import io

import segno
from markupsafe import Markup

QUIET_ZONE = 4  # modules, as ISO/IEC 18004 requires


def qr_svg(text: str, label: str) -> Markup:
    """Draw a text as inline SVG without styles, labelled for screen readers."""
    code = segno.make(text, error="m", micro=False)
    drawn = code.svg_inline(border=QUIET_ZONE, omitsize=True, svgclass=None, lineclass=None)
    named = Markup('<svg role="img" aria-label="{}" shape-rendering="crispEdges"').format(label)
    return Markup(drawn.replace("<svg", named, 1))  # noqa: S704 -- drawn here from modules


def qr_image(text: str) -> bytes:
    """Draw a text as a scalable image file."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", border=QUIET_ZONE, omitsize=True, xmldecl=False, light="white"
    )
    return drawn.getvalue()
