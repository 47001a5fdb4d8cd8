"""The next steps name the run, so that a command can be copied."""

from pathlib import Path

import pytest

from falx.reporting.words.next_steps import next_steps


@pytest.mark.parametrize(
    ("verb", "commands"),
    [
        (
            "train",
            {
                "Read the report": "'my runs/1'/report.html",
                "Classify images": "falx predict 'my runs/1' IMAGE...",
                "Test on other data": "falx evaluate 'my runs/1' DATA",
                "Write a model card": "falx card 'my runs/1'",
            },
        ),
        (
            "crossval",
            {
                "Read the report": "'my runs/1'/report.html",
                "Write a model card": "falx card 'my runs/1'",
                "Train a detector": "falx train navoneel --recipe paper --seed 7",
            },
        ),
        (
            "evaluate",
            {
                "Read the report": "'my runs/1'/report.html",
                "Classify images": "falx predict RUN IMAGE...",
            },
        ),
    ],
)
def test_the_next_steps_depend_on_the_verb(make_report, verb, commands):
    report = make_report(verb=verb, folder=Path("my runs/1"))
    assert dict(next_steps(report.run)) == commands
