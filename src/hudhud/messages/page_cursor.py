"""Pages of lists that are read from either end."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select


@dataclass(frozen=True, slots=True)
class PageCursor:
    """Start of a page: newest jobs, or `before` or `after` an id.

    `skip` omits that many jobs first, at a cost that grows with it.
    """

    limit: int
    before: int | None = None
    after: int | None = None
    skip: int = 0

    def order(self, branch: Select[Any]) -> Select[Any]:
        """Order a select from the cursor in its direction, and limit it."""
        number = branch.selected_columns[0]
        if self.before is not None:
            branch = branch.where(number < self.before)
        if self.after is not None:
            branch = branch.where(number > self.after).order_by(number.asc())
        else:
            branch = branch.order_by(number.desc())
        return branch.limit(self.skip + self.limit)

    def cut(self, found: Select[Any]) -> Select[Any]:
        """Omit the skipped rows of a select that `order` has ordered."""
        if not self.skip:
            return found
        rows = found.subquery()
        number = rows.c[0]
        ordered = number.desc() if self.after is None else number.asc()
        return select(*rows.c).order_by(ordered).limit(self.limit).offset(self.skip)
