"""How long work says how far it is, and how it is told to stop."""

from collections.abc import Callable

from core.errors import Cancelled

__all__ = ["Cancelled", "Report", "part", "silent"]

Report = Callable[[float, str], None]
"""`report(fraction, note)`: fraction in [0, 1], note a few words. Raises Cancelled when the work must stop;
call it often (every 50 ms or so of work), it is cheap."""


def silent(fraction: float, note: str = "") -> None:
    """A report that nobody reads and that never cancels."""


def part(report: Report, start: float, stop: float) -> Report:
    """A report for one stage: its 0..1 becomes start..stop of the whole."""

    def staged(fraction: float, note: str = "") -> None:
        report(start + (stop - start) * min(max(fraction, 0.0), 1.0), note)

    return staged
