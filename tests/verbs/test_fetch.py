"""Fetching: whole or not at all, from a server on this machine."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import stat
import threading
import zipfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

import falx
from falx.data.publications import PUBLICATIONS, Publication, contents_digest
from falx.errors import BadInput, FailedDownload, Offline
from falx.model.weights import _URL, _file_name
from falx.recipe import Backbone

POSIX = pytest.mark.skipif(os.name == "nt", reason="modes and paths of POSIX")
WEIGHTS = bytes(range(256)) * 1000
SLICES = {"no/1 no.jpg": b"first", "yes/Y1.JPG": b"second"}


@dataclass
class Site:
    """A server on this machine: what it serves by path, and which paths were asked for.

    A path in `cut` is served by half, though announced whole.
    """

    address: str
    files: dict[str, bytes]
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch):
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(self.path)
            content = served.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if self.path in served.cut else content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Site(f"http://127.0.0.1:{server.server_port}", {})
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def archive(files, top="Top-1", links=()):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, content in files.items():
            opened.writestr(f"{top}/{name}" if top else name, content)
        for name in links:
            link = zipfile.ZipInfo(f"{top}/{name}")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(link, "/etc/passwd")
    return stream.getvalue()


@pytest.fixture
def weights_entry(site):
    site.files["/w.h5"] = WEIGHTS
    return Publication(
        name="w",
        what="Weights",
        license="MIT",
        page="https://example.org/weights",
        address=f"{site.address}/w.h5",
        file="w.h5",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        size=len(WEIGHTS),
    )


@pytest.fixture
def dataset_entry(site, tmp_path):
    site.files["/set.zip"] = archive(SLICES | {"README.md": b"left out", "other/no/1.jpg": b"too"})
    expected = tmp_path / "expected"
    for name, content in SLICES.items():
        (expected / name).parent.mkdir(parents=True)
        (expected / name).write_bytes(content)
    return Publication(
        name="slices",
        what="Slices",
        license="CC0",
        page="https://example.org/slices",
        address=f"{site.address}/set.zip",
        folders=("no", "yes"),
        contents=contents_digest(expected),
    )


def fetch(entry, out, **options):
    return falx.fetch(entry.name, out=out, table=[entry], **options)


def assert_nothing_left(folder):
    assert not folder.exists() or not list(folder.iterdir())


def test_a_file_is_downloaded_once_and_progress_is_told(site, weights_entry, tmp_path):
    steps = []
    out = tmp_path / "new" / "w.h5"
    done = fetch(weights_entry, out, listener=steps.append)
    assert (done.path, done.downloaded) == (out, True)
    assert out.read_bytes() == WEIGHTS
    assert (steps[-1].done, steps[-1].total, steps[-1].detail) == (256, 256, "0.3 MB")
    assert [path.name for path in out.parent.iterdir()] == ["w.h5"]
    assert not fetch(weights_entry, out).downloaded
    assert site.asked == ["/w.h5"]


def test_weights_lie_where_training_finds_them(weights_entry, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert fetch(weights_entry, None).path == tmp_path / "keras" / "models" / "w.h5"


def test_the_folders_of_an_archive_are_kept_and_the_rest_is_not(site, dataset_entry, tmp_path):
    out = tmp_path / "set"
    assert fetch(dataset_entry, out).downloaded
    kept = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert kept == set(SLICES)
    assert not fetch(dataset_entry, out).downloaded
    assert site.asked == ["/set.zip"]


def test_by_default_a_dataset_goes_to_a_folder_of_its_name(dataset_entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fetch(dataset_entry, None).path.resolve() == tmp_path / "slices"


@pytest.mark.parametrize("known", [{"sha256": "0" * 64}, {"sha256": "", "size": 7}])
def test_another_file_than_was_published_is_removed(weights_entry, tmp_path, known):
    out = tmp_path / "new" / "w.h5"
    with pytest.raises(FailedDownload, match="not w as it was published, and was removed"):
        fetch(replace(weights_entry, **known), out)
    assert_nothing_left(out.parent)


def test_an_archive_with_other_contents_is_removed(site, dataset_entry, tmp_path):
    site.files["/set.zip"] = archive(SLICES | {"no/1 no.jpg": b"altered"})
    with pytest.raises(FailedDownload, match="not slices as it was published"):
        fetch(dataset_entry, tmp_path / "new" / "set")
    assert_nothing_left(tmp_path / "new")


@pytest.mark.parametrize("kind", ["missing", "cut", "unreachable"])
def test_a_failed_download_leaves_nothing_and_names_the_page(site, weights_entry, tmp_path, kind):
    if kind == "missing":
        site.files.clear()
    if kind == "cut":
        site.cut.add("/w.h5")
        # Neither checksum nor size are needed to see it.
        weights_entry = replace(weights_entry, sha256="", size=0)
    if kind == "unreachable":
        weights_entry = replace(weights_entry, address="http://127.0.0.1:9/w.h5")
    out = tmp_path / "new" / "w.h5"
    reason = r"\(HTTP 404\)" if kind == "missing" else r"\(no connection, or it broke\)"
    with pytest.raises(FailedDownload, match=rf"{reason}.*https://example\.org/weights"):
        fetch(weights_entry, out)
    assert_nothing_left(out.parent)


def test_pooch_says_nothing_and_its_logger_is_as_before(
    weights_entry, tmp_path, monkeypatch, caplog
):
    logger = pooch.get_logger()
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    fetch(weights_entry, tmp_path / "w.h5")
    assert caplog.messages == []
    assert (logger.level, logger.filters) == (logging.DEBUG, [])
    pooch.retrieve(weights_entry.address, None, "w.h5", tmp_path / "other")
    assert caplog.messages


@POSIX
def test_a_file_has_the_mode_of_any_new_file(weights_entry, tmp_path):
    before = os.umask(0o027)
    try:
        path = fetch(weights_entry, tmp_path / "w.h5").path
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@POSIX
@pytest.mark.parametrize(
    "out", ["file/w.h5", "/proc/falx/w.h5", "n" * 300], ids=["below a file", "/proc", "too long"]
)
def test_a_place_that_can_not_be_written_is_one_sentence(site, weights_entry, tmp_path, out):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match=r"can't be read or written \(.*\); .*--out\.$"):
        fetch(weights_entry, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert site.asked == []


def test_a_download_that_is_far_too_large_ends(weights_entry, tmp_path, monkeypatch):
    monkeypatch.setattr("falx.verbs.fetch._MAX_BYTES", len(WEIGHTS) - 1)
    with pytest.raises(FailedDownload, match=r"gives more than 255,999 bytes, which is not w;"):
        fetch(weights_entry, tmp_path / "new" / "w.h5")
    assert_nothing_left(tmp_path / "new")


def test_what_a_system_adds_to_a_folder_does_not_change_what_it_is(site, dataset_entry, tmp_path):
    out = fetch(dataset_entry, tmp_path / "set").path
    (out / "yes" / ".DS_Store").write_bytes(b"hidden")
    assert not fetch(dataset_entry, out).downloaded
    (out / "yes" / "more.jpg").write_bytes(b"not hidden")
    with pytest.raises(BadInput, match="is not slices as it was published"):
        fetch(dataset_entry, out)


def test_something_else_at_its_place_is_not_touched(site, weights_entry, tmp_path):
    out = tmp_path / "w.h5"
    out.write_bytes(b"mine")
    with pytest.raises(BadInput, match="is not w as it was published"):
        fetch(weights_entry, out)
    assert out.read_bytes() == b"mine"
    assert site.asked == []


@pytest.mark.parametrize(
    "name", ["../escaped", "no/../../escaped", "/escaped", "no\\..\\..\\escaped", "C:/escaped"]
)
def test_a_member_that_leads_out_of_the_archive_is_refused(site, dataset_entry, tmp_path, name):
    absolute = name.startswith(("/", "C:"))
    hostile = {name: b"!"} if absolute else {f"Top-1/{name}": b"!"}
    site.files["/set.zip"] = archive(
        {f"Top-1/{each}": content for each, content in SLICES.items()} | hostile, top=""
    )
    with pytest.raises(BadInput, match="outside of its folder"):
        fetch(dataset_entry, tmp_path / "a" / "b" / "set")
    assert_nothing_left(tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_an_archive_is_refused(site, dataset_entry, tmp_path):
    site.files["/set.zip"] = archive(SLICES, links=["no/2.jpg"])
    with pytest.raises(BadInput, match=r"holds a link, 'Top-1/no/2\.jpg'"):
        fetch(dataset_entry, tmp_path / "new" / "set")
    assert_nothing_left(tmp_path / "new")


@pytest.mark.parametrize(
    "content", [b"<html>moved</html>", archive(SLICES)[:90]], ids=["a page", "half an archive"]
)
def test_what_is_no_archive_is_one_sentence(site, dataset_entry, tmp_path, content):
    site.files["/set.zip"] = content
    with pytest.raises(BadInput, match="not a whole ZIP archive"):
        fetch(dataset_entry, tmp_path / "new" / "set")
    assert_nothing_left(tmp_path / "new")


def test_offline_nothing_is_asked_for_and_the_page_is_named(
    site, weights_entry, tmp_path, monkeypatch
):
    fetch(weights_entry, tmp_path / "there.h5")
    monkeypatch.setenv("FALX_OFFLINE", "1")
    with pytest.raises(Offline, match=r"https://example\.org/weights"):
        fetch(weights_entry, tmp_path / "w.h5")
    assert not fetch(weights_entry, tmp_path / "there.h5").downloaded
    assert site.asked == ["/w.h5"]


def test_what_only_a_person_can_download_says_where_and_what_to_do_then(weights_entry, tmp_path):
    # What a person put there is neither known to be it nor called something else.
    (tmp_path / "w").mkdir()
    with pytest.raises(FailedDownload, match=r"example.org/weights.*unpack it.*falx train FOLDER"):
        fetch(replace(weights_entry, address=""), tmp_path / "w")


def test_a_misspelt_name_names_its_nearest():
    with pytest.raises(BadInput, match="did you mean 'navoneel'"):
        falx.fetch("navonel")


@pytest.mark.parametrize("entry", PUBLICATIONS, ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry):
    assert entry.what
    assert entry.license
    assert entry.page.startswith("https://")
    assert entry.address.startswith("https://") or not entry.address
    assert bool(entry.file) != bool(entry.folders) or not entry.address
    assert entry.has_checksum or entry.size or not entry.address


def test_the_imagenet_weights_are_those_of_training():
    (entry,) = [each for each in PUBLICATIONS if each.name == "imagenet"]
    name = _file_name(Backbone())
    assert (entry.address, entry.file) == (_URL + name, name)
