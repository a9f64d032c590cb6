"""What a benchmark says: a figure, and the goal it is held against."""

from __future__ import annotations

from attrs import frozen


@frozen
class Figure:
    """One line of the report."""

    what: str
    value: float
    at_most: float | None = None
    """The goal; None for what is only told, such as a peer."""
    unit: str = ""

    @property
    def holds(self) -> bool:
        return self.at_most is None or self.value <= self.at_most

    def __str__(self) -> str:
        goal = "" if self.at_most is None else f"at most {self.at_most:<10.4g} {'holds' if self.holds else 'FAILS'}"
        return f"{self.what:<84} {self.value:>10.4g} {self.unit:<8} {goal}".rstrip()
