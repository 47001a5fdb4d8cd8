"""Offline mode blocks the network, nothing sends telemetry, and predicting imports nothing heavy."""

import os
import subprocess
import sys

import pytest
from pydicom.data import get_testdata_file

from falx.offline import is_offline

HEAVY = ("keras", "tensorflow", "sklearn", "pandas", "matplotlib", "scipy", "pyarrow", "PIL")

DIES_ON_A_SOCKET = """
import os, sys
sys.addaudithook(lambda event, arguments: os._exit(9) if event.startswith("socket.") else None)
"""


def python(code, *arguments, **variables):
    """Run code in a process of its own, since an audit hook can't be removed."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables,
    )


@pytest.mark.parametrize(
    ("value", "offline"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        ("0", False),
        ("", False),
        ("False", False),
        ("no", False),
    ],
)
def test_the_variable_switches_offline_mode(monkeypatch, value, offline):
    monkeypatch.setenv("FALX_OFFLINE", value)
    assert is_offline() is offline


def test_without_the_variable_the_network_may_be_used(monkeypatch):
    monkeypatch.delenv("FALX_OFFLINE", raising=False)
    assert is_offline() is False


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
def test_every_network_access_is_blocked(attempt):
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
    assert done.stdout.startswith("Network access"), done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs Unix domain sockets")
def test_local_processes_can_still_communicate():
    code = """
import socket
from falx.offline import forbid_network
forbid_network()
one, other = socket.socketpair(socket.AF_UNIX)
one.send(b"hello")
print(other.recv(5).decode())
"""
    assert python(code).stdout == "hello\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Unix domain sockets of Linux")
def test_unix_domain_sockets_work_in_every_way(tmp_path):
    code = """
import os, socket, sys
from falx.offline import forbid_network
forbid_network()
os.chdir(sys.argv[1])
server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
server.bind("stream")
server.listen()
client.connect("stream")
accepted, _ = server.accept()
socket.send_fds(client, [b"hello"], [0])
print(socket.recv_fds(accepted, 5, 1)[0].decode())
one, other = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
one.bind("datagram")
other.sendto(b"again", "datagram")
print(one.recv(5).decode())
"""
    done = python(code, tmp_path)
    assert done.stdout == "hello\nagain\n", done.stderr


def test_a_socket_opened_before_cannot_reach_the_network():
    code = """
import socket
from falx.errors import Offline
from falx.offline import forbid_network
open_before = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
forbid_network()
for attempt in (open_before.connect, lambda where: open_before.sendto(b"hello", where)):
    try:
        attempt(("127.0.0.1", 9))
    except Offline:
        print("blocked")
"""
    assert python(code).stdout == "blocked\nblocked\n"


def test_child_processes_are_offline_too():
    code = """
import os
from falx.offline import forbid_network, is_offline
forbid_network()
print(os.environ["FALX_OFFLINE"], is_offline())
"""
    assert python(code).stdout == "1 True\n"


def test_the_host_name_is_available():
    code = """
import socket
from falx.offline import forbid_network
forbid_network()
print(socket.gethostname())
"""
    assert python(code).returncode == 0


def test_the_hook_of_these_tests_works():
    assert python(DIES_ON_A_SOCKET + "import socket; socket.socket()").returncode == 9


def test_predict_opens_no_socket(run, phantoms):
    code = f"""{DIES_ON_A_SOCKET}
sys.argv = ["falx", "--offline", "predict", *sys.argv[1:]]
from falx.cli import main
main()
"""
    done = python(code, run, phantoms / "yes" / "00001.png", "--csv", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".png") == 1


def test_the_variable_applies_to_the_command_line(run, phantoms):
    """Predicting works, and the network is blocked in the same process afterwards."""
    code = """
import socket, sys
from falx.cli import main
from falx.errors import Offline
sys.argv = ["falx", "predict", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    print("exit", ended.code or 0)
try:
    socket.socket()
except Offline:
    print("blocked")
"""
    image = phantoms / "yes" / "00001.png"
    done = python(code, run, image, "--csv", "-", FALX_OFFLINE="1")
    assert done.stdout.splitlines()[-2:] == ["exit 0", "blocked"], done.stderr
    assert done.stdout.count(".png") == 1


def test_during_training_no_library_reaches_the_network(phantoms, short, tmp_path):
    """A hook added after that of falx sees only what falx did not block."""
    changes = [f"--set={field}={value}" for field, value in short.items()]
    code = f"""
from falx.offline import forbid_network
forbid_network()
{DIES_ON_A_SOCKET}
sys.argv = ["falx", "train", *sys.argv[1:]]
from falx.cli import main
main()
"""
    done = python(
        code, phantoms, "--recipe", "lite", "--weights", "random", "--out", tmp_path / "run",
        *changes,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()


def test_openvino_has_no_telemetry_module():
    code = """
import sys
import falx, openvino
from falx.detect import engine
import openvino.tools.ovc
print(sys.modules["openvino_telemetry"])
"""
    assert python(code).stdout == "None\n"


@pytest.mark.parametrize("words", [["--help"], ["predict", "RUN", "IMAGE", "--json", "-"]])
def test_predicting_imports_nothing_heavy(run, phantoms, words):
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


def test_predicting_a_compressed_dicom_file_imports_nothing_heavy(run):
    """Except PIL, which pydicom imports wherever it is installed."""
    image = get_testdata_file("MR_small_jp2klossless.dcm", download=False)
    code = f"""
import sys
import falx
print(len(falx.load(sys.argv[1]).predict(sys.argv[2]).slices))
print([n for n in {HEAVY} if n in sys.modules and n != "PIL"])
"""
    done = python(code, run, image)
    assert done.stdout == "1\n[]\n", done.stderr


def test_importing_falx_imports_nothing_heavy():
    code = f"import sys, falx; print([n for n in {HEAVY} if n in sys.modules])"
    assert python(code).stdout == "[]\n"


def test_the_variable_applies_to_python_programs_too(monkeypatch):
    monkeypatch.setenv("FALX_OFFLINE", "1")
    done = python("import falx, socket; socket.socket()")
    assert "falx.errors.Offline: Network access" in done.stderr
