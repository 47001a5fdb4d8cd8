"""Work in threads, ahead of its use."""

import threading

import pytest

from falx.parallel import in_parallel, prefetch


def test_results_are_in_order_and_each_is_started_before_the_previous_one_is_used():
    started = threading.Event()

    def work(item):
        if item == 1:
            started.set()
        return item * item

    results = prefetch(work, range(4))
    assert next(results) == 0
    assert started.wait(timeout=10)
    assert list(results) == [1, 4, 9]


def test_without_items_there_are_no_results():
    assert list(prefetch(abs, [])) == []


def test_an_error_is_raised_in_place_of_the_result():
    results = prefetch(lambda item: 1 / item, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        next(results)


def test_parallel_results_are_in_order_and_progress_is_reported():
    steps = []
    results = list(in_parallel(lambda item: item * item, range(300), "Squaring", steps.append))
    assert results == [item * item for item in range(300)]
    assert [step.done for step in steps] == list(range(1, 301))
    assert {(step.task, step.total) for step in steps} == {("Squaring", 300)}
