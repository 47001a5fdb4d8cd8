"""The site check in reports: whether slices differ, as a set, from those of training."""

from __future__ import annotations

from falx.detect.site import Difference, SiteCheck
from falx.reporting.formatting import number, percent, signed
from falx.reporting.words.report import Notice

DIFFERENCES_SHOWN = 8


def site_notice(site: SiteCheck | None) -> Notice | None:
    """A warning where slices differ, before any number."""
    if site is None or not site.is_different:
        return None
    return Notice("look", "These slices are unlike those of training, as a set.", site.sentence)


def site_table(site: SiteCheck | None) -> dict[str, object] | None:
    """The outcome, and the measurements that differ most; None where there was no check."""
    if site is None:
        return None
    rows = [_row(each) for each in site.differences[:DIFFERENCES_SHOWN]]
    return {"sentence": site.sentence, "rows": rows}


def _row(difference: Difference) -> tuple[str, str, str, str]:
    """Name, value here, value in training, and the difference in standard deviations."""
    write = percent if difference.name.endswith("rate") else number
    values = write(difference.here), write(difference.training)
    return difference.name, *values, signed(difference.deviation, 1)
