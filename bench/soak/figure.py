"""A measured figure, and the bound within which it must be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`least` and `most` are inclusive; None: no bound."""

    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value is within its bounds."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    def __str__(self) -> str:
        bounds = [
            f"{name} {bound:,.10g}"
            for name, bound in (("least", self.least), ("most", self.most))
            if bound is not None
        ]
        verdict = f"{', '.join(bounds)}: {'held' if self.holds else 'NOT HELD'}" if bounds else "-"
        return f"| {self.what} | {self.value:,.6g} {self.unit} | {verdict} |"
