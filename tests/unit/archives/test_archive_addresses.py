"""What comes from paths, from the loopback and from Google Drive, and what is shown of an address."""

import pytest
from archive_site import content, tree

from avrobust.data.archive_addresses import (
    NotThere,
    Refused,
    check_address,
    fetch_from_drive,
    is_drive,
    opened,
    shown,
)
from avrobust.program import UserError


def read(address):
    with opened(address) as source:
        return b"".join(iter(lambda: source.read(10_000), b""))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://example.org/1.tar.gz", "use https://"),
        ("http://127.0.0.1.example.org/1.tar.gz", "use https://"),
        ("ftp://example.org/1.tar.gz", "no such file"),
        ("file:///etc/passwd", "no such file"),
        ("https:///1.tar.gz", "without a host"),
        ("https://[::1/1.tar.gz", "no address"),
        ("none.tar.gz", "no such file"),
    ],
)
def test_other_addresses_are_refused(address, message):
    with pytest.raises(UserError, match=message):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["https://example.org/1", "HTTPS://example.org/1", "http://localhost:1/1", "http://[::1]/1", __file__]
)
def test_these_addresses_are_taken(address):
    check_address(address)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/1", ""),
        ("file:///etc/passwd", "No connection adapters"),
        ("ftp://127.0.0.1/1", "No connection adapters"),
        ("http://video.invalid/1", "leads elsewhere: http://video.invalid/1: not encrypted"),
        ("http://video.invalid/back", "leads elsewhere: http://video.invalid/back: not encrypted"),
        ("/moved", "Exceeded 30 redirects"),
    ],
)
def test_redirects_lead_only_where_parts_may_come_from(site, target, reason, monkeypatch):
    # What any host but this machine is asked, the same site answers, as a proxy.
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site.files, site.redirects = {"/1": content("1"), "http://video.invalid/1": content("2")}, {"/moved": target}
    site.redirects["http://video.invalid/back"] = f"{site.url}/1"
    if reason:
        with pytest.raises(Refused, match=reason):
            read(f"{site.url}/moved")
    else:
        assert read(f"{site.url}/moved") == content("1")


def test_paths_and_the_web_give_all_their_bytes(site, tmp_path):
    (tmp_path / "1").write_bytes(content("1"))
    site.files = {"/1": content("1")}
    assert read(str(tmp_path / "1")) == read(f"{site.url}/1") == content("1")


def test_what_does_not_come_is_not_there_refused_or_broken_off(site, tmp_path):
    site.files, site.statuses = dict.fromkeys(["/1", "/2", "/3"], content("1")), {"/1": [503, 410], "/2": [429]}
    site.retry_after, site.cut["/3"] = {503: "7", 429: "Fri, 31 Dec 1999 23:59:59 GMT"}, 1
    for path, reason, wait in (("/1", "HTTP 503", 7.0), ("/2", "HTTP 429", 0.0), ("/3", "it broke off", 0.0)):
        with pytest.raises(Refused, match=reason) as refused:
            read(site.url + path)
        assert refused.value.wait == wait
    for path, reason in (("/1", "HTTP 410"), ("/none", "HTTP 404")):
        with pytest.raises(NotThere, match=reason):
            read(site.url + path)
    with pytest.raises(Refused, match="cannot be read: Is a directory"):
        read(str(tmp_path))


def test_a_query_is_shown_as_what_tells_two_apart():
    assert len({shown(address) for address in ("https://a/b?n=1", "https://a/b?n=2", "https://a/b")}) == 3
    assert shown("https://user:hunter2@a:1/b?n=hunter2").startswith("https://a:1/b#")
    assert "hunter2" not in shown("https://user:hunter2@a/b?n=hunter2") + shown("https://user:hunter2@[::1/b?hunter2")


def test_what_a_journal_calls_an_address_stays_the_same():
    # By `printf token=secret | sha256sum`; another name would read every part again.
    assert shown("https://me@a.b/c.tar?token=secret") == "https://a.b/c.tar#1359227d95e1"


def test_google_drive_is_told_by_its_host():
    assert is_drive("https://drive.google.com/uc?id=1Fj-_K") and is_drive("https://drive.google.com/file/d/1Fj-_K/view")
    assert not is_drive("https://example.org/d/1Fj") and not is_drive("https://drive.google.com.x/d/1")
    assert not is_drive("drive.google.com")


def test_google_drive_hands_out_a_file(drive, tmp_path):
    drive.files = {"/uc": content("zip", 3_000_000)}
    fetch_from_drive("https://drive.google.com/uc?id=1Fj-_K", tmp_path / "z.zip")
    assert tree(tmp_path) == {"z.zip": drive.files["/uc"]}
    # No bar in a log.
    assert drive.told == {"quiet": True, "resume": True}


def test_google_drive_may_refuse(drive, tmp_path):
    with pytest.raises(UserError, match=r"hand out https://drive.google.com/uc#\w+ \(404 .* with a browser and give"):
        fetch_from_drive("https://drive.google.com/uc?id=1Fj-_K", tmp_path / "z.zip")
    assert tree(tmp_path) == {}
