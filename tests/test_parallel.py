"""Work that is done ahead of its use."""

import threading

import pytest

from falx.parallel import prefetch


def test_results_come_in_order_each_begun_before_the_last_one_is_used():
    begun = threading.Event()

    def work(item):
        if item == 1:
            begun.set()
        return item * item

    results = prefetch(work, range(4))
    assert next(results) == 0
    assert begun.wait(timeout=10)
    assert list(results) == [1, 4, 9]


def test_nothing_to_do_gives_nothing():
    assert list(prefetch(abs, [])) == []


def test_an_error_is_raised_where_the_result_would_be():
    results = prefetch(lambda item: 1 / item, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
