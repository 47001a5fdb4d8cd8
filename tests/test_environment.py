"""The environment of a run tells versions and machine, and nothing about whose it is."""

import getpass
import json
import os
import platform
import re

import pytest

import falx
from falx.environment import CPU_FEATURES, PACKAGES, environment, version


def test_versions_and_machine_are_ready_for_json():
    about = json.loads(json.dumps(environment()))
    assert about["versions"]["falx"] == falx.__version__
    assert about["python"] == platform.python_version()
    assert about["cores"] == os.cpu_count()
    assert about["memory_gb"] > 0
    assert about["cpu"]
    assert set(about["cpu_features"]) <= set(CPU_FEATURES)


def test_what_is_not_installed_is_left_out():
    found = environment()["versions"]
    assert None not in found.values()
    assert set(found) == {package for package in PACKAGES if version(package)}
    assert version("no-such-package") is None


def test_nothing_tells_the_person_or_the_host():
    text = json.dumps(environment())
    for name in filter(None, (platform.node(), getpass.getuser(), os.path.expanduser("~"))):
        assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)


@pytest.mark.parametrize("variable", ["USER", "LOGNAME", "HOSTNAME", "HOME", "COMPUTERNAME"])
def test_no_variable_that_names_somebody_is_kept(monkeypatch, variable):
    monkeypatch.setenv(variable, "jane-doe")
    assert "jane-doe" not in json.dumps(environment())
