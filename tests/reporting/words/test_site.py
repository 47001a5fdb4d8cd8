"""The site check in a report: warned of where it fires, told where it does not."""

from dataclasses import replace

from falx.detect.site import Difference, SiteCheck
from falx.reporting.words.site import DIFFERENCES_SHOWN, site_notice, site_table

MANY = tuple(Difference(f"detail {n}", 0.5, 0.25, -2.04) for n in range(20))
SITE = SiteCheck("different", 40, 30, 0.0004, MANY, 0.9)


def test_a_set_that_differs_is_warned_of_in_the_words_of_the_terminal():
    notice = site_notice(SITE)
    assert notice.state == "look"
    assert notice.text == SITE.sentence


def test_a_set_that_does_not_differ_is_no_warning():
    assert site_notice(replace(SITE, outcome="not different", p_value=0.4)) is None
    assert site_notice(None) is None


def test_the_largest_differences_are_shown_with_their_values():
    table = site_table(SITE)
    assert len(table["rows"]) == DIFFERENCES_SHOWN
    assert table["rows"][0] == ("detail 0", "0.500", "0.250", "\u22122.0")


def test_rates_are_percentages():
    rate = Difference("referral rate", 0.5, 0.1, 1.3)
    (row,) = site_table(replace(SITE, differences=(rate,)))["rows"]
    assert row == ("referral rate", "50\u202f%", "10\u202f%", "+1.3")


def test_without_a_check_there_is_nothing():
    assert site_table(None) is None
