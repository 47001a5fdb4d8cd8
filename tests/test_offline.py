"""Off the network when asked to; never a word to anyone; and nothing heavy to give an answer."""

import subprocess
import sys

import pytest

from falx.offline import is_offline

HEAVY = ("keras", "tensorflow", "sklearn", "pandas", "matplotlib", "scipy", "pyarrow", "PIL")

DIES_ON_A_SOCKET = """
import os, sys
sys.addaudithook(lambda event, arguments: os._exit(9) if event.startswith("socket.") else None)
"""


def python(code, *arguments):
    """Run code in a process of its own, since an audit hook can't be taken back."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("true", True), ("yes", True), ("0", False), ("", False), ("False", False)],
)
def test_the_variable_says_whether(monkeypatch, value, offline):
    monkeypatch.setenv("FALX_OFFLINE", value)
    assert is_offline() is offline


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "socket.getaddrinfo('localhost', 80)",
        "socket.gethostbyname('localhost')",
        "socket.create_connection(('127.0.0.1', 9))",
        "urllib.request.urlopen('http://127.0.0.1:9')",
    ],
)
def test_every_way_to_the_network_is_closed(attempt):
    done = python(f"""
import socket, urllib.request
from falx.errors import Offline
from falx.offline import forbid_network
forbid_network()
try:
    {attempt}
except Offline as error:
    print(error)
""")
    assert done.stdout.startswith("The network was asked for"), done.stderr


def test_processes_of_this_machine_may_still_talk():
    code = """
import socket
from falx.offline import forbid_network
forbid_network()
one, other = socket.socketpair(socket.AF_UNIX)
one.send(b"hello")
print(other.recv(5).decode())
"""
    assert python(code).stdout == "hello\n"


def test_the_hook_that_dies_on_a_socket_does_so():
    assert python(DIES_ON_A_SOCKET + "import socket; socket.socket()").returncode == 9


def test_predict_does_not_even_try(run, phantoms):
    code = f"""{DIES_ON_A_SOCKET}
sys.argv = ["falx", "--offline", "predict", *sys.argv[1:]]
from falx.cli import main
main()
"""
    done = python(code, run, phantoms / "yes" / "00001.png", "--csv", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".png") == 1


def test_in_a_training_no_library_gets_past(phantoms, short, tmp_path):
    """A hook that comes after falx's sees only what falx let through."""
    changes = [f"--set={field}={value}" for field, value in short.items()]
    code = f"""
from falx.offline import forbid_network
forbid_network()
{DIES_ON_A_SOCKET}
sys.argv = ["falx", "train", *sys.argv[1:]]
from falx.cli import main
main()
"""
    done = python(code, phantoms, "--weights", "random", "--out", tmp_path / "run", *changes)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_openvino_has_no_telemetry_to_send_with():
    code = """
import sys
import falx, openvino
from falx.detect import engine
import openvino.tools.ovc
print(sys.modules["openvino_telemetry"])
"""
    assert python(code).stdout == "None\n"


@pytest.mark.parametrize("words", [["--help"], ["predict", "RUN", "IMAGE", "--json", "-"]])
def test_an_answer_needs_nothing_heavy(run, phantoms, words):
    places = {"RUN": str(run), "IMAGE": str(phantoms / "yes" / "00001.png")}
    code = f"""
import atexit, sys
from falx.cli import main
atexit.register(lambda: print([n for n in {HEAVY} if n in sys.modules], file=sys.stderr))
sys.argv = ["falx", *{[places.get(word, word) for word in words]}]
main()
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_importing_falx_needs_nothing_heavy():
    code = f"import sys, falx; print([n for n in {HEAVY} if n in sys.modules])"
    assert python(code).stdout == "[]\n"
