"""The data of the charts, labelled like the table of the same numbers."""

import json
from collections.abc import Iterator

from markupsafe import Markup

from hudhud.core.clock import seconds_or_none
from hudhud.messages.statistics import Series
from hudhud.web.admin.ui.format import Format

TICK_MINUTES, TICK_HOURS, TICK_DAYS = 10, 4, 5


def period(series: Series, place: int, fmt: Format) -> Markup:
    """Format the start of a minute, hour or day; the last one is not over yet."""
    start = series.starts[place]
    shown = fmt.day(start) if series.range == "month" else fmt.moment(start, seconds=False)
    if place < len(series.starts) - 1:
        return shown
    return fmt.fill(fmt.gettext("%(time)s, so far"), time=shown)


def chart_data(series: Series, fmt: Format) -> str:
    """Return the charts' data as JSON: counts, and seconds to delivery.

    Each period has a label; `ticks` are the places and labels of the time axis.
    """
    places = range(len(series.starts))
    return json.dumps(
        {
            "labels": [period(series, place, fmt).striptags() for place in places],
            "ticks": list(_ticks(series, fmt)),
            "accepted": series.accepted,
            "sent": series.sent,
            "delivered": series.delivered,
            "failed": series.failed,
            "median": [seconds_or_none(median) for median in series.median],
            "p95": [seconds_or_none(p95) for p95 in series.p95],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _ticks(series: Series, fmt: Format) -> Iterator[tuple[int, str]]:
    for place, start in enumerate(series.starts):
        clock = fmt.hour_and_minute(start)
        hour, minute = map(int, clock.split(":"))
        if series.range == "month":
            if (len(series.starts) - 1 - place) % TICK_DAYS == 0:
                yield place, fmt.day(start).striptags()
        elif (hour % TICK_HOURS if series.range == "day" else minute % TICK_MINUTES) == 0:
            yield place, clock
