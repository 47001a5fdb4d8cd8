"""The environment of a run tells versions and machine, and nothing about whose it is."""

import getpass
import json
import os
import platform

import falx
from falx.environment import environment


def test_versions_and_machine_are_ready_for_json():
    about = json.loads(json.dumps(environment()))
    assert about["versions"]["falx"] == falx.__version__
    assert about["python"] == platform.python_version()
    assert about["cores"] == os.cpu_count()
    assert about["memory_gb"] > 0


def test_nothing_tells_the_person_or_the_host():
    text = json.dumps(environment())
    for name in (platform.node(), getpass.getuser(), os.path.expanduser("~")):
        assert not name or f'"{name}"' not in text
