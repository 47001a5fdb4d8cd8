"""The environment holds versions and hardware, but nothing that identifies a person or host."""

import getpass
import json
import os
import platform
import re

import pytest

import falx
from falx.environment import CPU_FEATURES, PACKAGES, environment, version


def test_versions_and_hardware_are_json_values():
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


def test_neither_person_nor_host_is_named():
    text = json.dumps(environment())
    for name in filter(None, (platform.node(), getpass.getuser(), os.path.expanduser("~"))):
        assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)


@pytest.mark.parametrize("variable", ["USER", "LOGNAME", "HOSTNAME", "HOME", "COMPUTERNAME"])
def test_environment_variables_with_names_are_not_recorded(monkeypatch, variable):
    monkeypatch.setenv(variable, "jane-doe")
    assert "jane-doe" not in json.dumps(environment())
