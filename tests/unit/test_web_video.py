"""Videos by the real yt-dlp and the real ffmpeg from a real server on the loopback."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from clip_files import ffmpeg
from web_site import WebSite, cut, page, refusal, slow, whole

from avrobust.data import web_video
from avrobust.data.refusals import GONE_MAYBE, MEDIA, THROTTLED, TOOL, TRANSIENT
from avrobust.data.web_video import Refused, WebVideos, fetch
from avrobust.files import remove_leftovers
from avrobust.program import UserError

SCRIPTS = Path(__file__).parents[2] / "scripts"
RATE, SECONDS, ONSET = 25, 20, 9.0

# The grey level tells which frame it is, modulo 100; the sound begins at ONSET. Only each tenth second has a frame that
# can be begun at.
PICTURE = (
    "-f",
    "lavfi",
    "-i",
    f"color=size=320x240:rate={RATE}:duration={SECONDS},geq=lum='16+2*mod(N,100)':cb=128:cr=128",
)
SOUND = ("-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2764*t)*gte(t\\,{ONSET}):sample_rate=44100:duration={SECONDS}")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "250", "-crf", "10", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac")
FAST = ("-movflags", "faststart")

# Picture and sound in files of their own, as large sites have them.
MANIFEST = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT20S">
 <Period>
  <AdaptationSet mimeType="video/mp4">
   <Representation id="1" codecs="avc1.42c00d" width="320" height="240" bandwidth="9000">
    <BaseURL>silent.mp4</BaseURL>
   </Representation>
  </AdaptationSet>
  <AdaptationSet mimeType="audio/mp4">
   <Representation id="2" codecs="mp4a.40.2" bandwidth="9000">
    <BaseURL>blind.mp4</BaseURL>
   </Representation>
  </AdaptationSet>
 </Period>
</MPD>"""

# A whole video is fetched by yt-dlp itself, a part by ffmpeg: both must fail alike.
PART = (15.0, 15.5)
WAYS = pytest.mark.parametrize("span", [None, PART], ids=["whole", "part"])


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    ffmpeg(*PICTURE, *SOUND, *H264, *AAC, *FAST, folder / "both.mp4")
    ffmpeg("-i", folder / "both.mp4", "-an", "-c", "copy", *FAST, folder / "silent.mp4")
    ffmpeg("-i", folder / "both.mp4", "-vn", "-c", "copy", *FAST, folder / "blind.mp4")
    return folder


@pytest.fixture
def site():
    with WebSite() as running:
        yield running


@pytest.fixture
def get(site, tmp_path):
    """Fetch a video of the site into an empty folder."""

    def call(video_id: str = "a", span: tuple[float, float] | None = None, **given):
        usual = {"url_template": site.template, "margin": 1.0, "retries": 0, "socket_timeout": 5.0, "request_pause": 0}
        return fetch(video_id, span, tmp_path / "out" / "a.mp4", WebVideos(**usual | given))

    return call


def refused(get, *given, **named) -> Refused:
    with pytest.raises(Refused) as caught:
        get(*given, **named)
    return caught.value


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_a_whole_video_comes_as_the_site_has_it(site, get, clips, tmp_path):
    source = clips / "both.mp4"
    site.offer("a", source)
    made = get()
    assert made.path == tmp_path / "out/a.mp4" and made.path.read_bytes() == source.read_bytes()
    assert (made.offset, made.bytes, made.height) == (0.0, source.stat().st_size, 240)
    assert made.seconds == pytest.approx(SECONDS, abs=0.05) and made.ytdlp_version.startswith("20")
    assert left(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(
    ("span", "margin", "offset", "end"),
    [
        ((8.0, 9.5), 5.0, 3.0, 14.5),
        ((8.013, 9.5), 1.0, 7.013, 10.5),
        ((0.5, 2.0), 1.0, 0.0, 3.0),
        ((18.0, 20.0), 0.5, 17.5, 20.0),
        # Lists count in whole seconds.
        ((18.0, 20.9), 0.5, 17.5, 20.0),
    ],
)
def test_a_part_is_cut_exactly(site, get, clips, span, margin, offset, end):
    site.offer("a", clips / "both.mp4", seconds=SECONDS)
    made = get("a", span, margin=margin)
    assert made.offset == pytest.approx(offset)
    assert made.seconds == pytest.approx(end - offset, abs=0.1)
    with av.open(str(made.path)) as container:
        frames = [(frame.time, frame.to_ndarray()[:240].mean()) for frame in container.decode(video=0)]
    assert len(frames) == pytest.approx((end - offset) * RATE, abs=2)
    for seconds, level in frames:
        behind = (level - 16) / 2 - (seconds + offset) * RATE
        assert abs((behind + 50) % 100 - 50) <= 1


def test_the_sound_of_a_part_keeps_its_time(site, get, clips):
    site.offer("a", clips / "both.mp4", seconds=SECONDS)
    made = get("a", (8.5, 9.5), margin=1.0)
    with av.open(str(made.path)) as container:
        sounds = [(frame.time, np.abs(frame.to_ndarray()[0])) for frame in container.decode(audio=0)]
    begins = next(seconds + np.argmax(sound > 0.2) / 44100 for seconds, sound in sounds if sound.max() > 0.2)
    assert made.offset + begins == pytest.approx(ONSET, abs=0.02)


@pytest.mark.parametrize("span", [None, (3.5, 4.0)], ids=["whole", "part"])
def test_picture_and_sound_may_be_two_files(site, get, clips, tmp_path, span):
    site.serve("/watch/a", MANIFEST.encode(), "text/xml")
    site.serve("/watch/silent.mp4", (clips / "silent.mp4").read_bytes(), "video/mp4")
    site.serve("/watch/blind.mp4", (clips / "blind.mp4").read_bytes(), "audio/mp4")
    made = get("a", span)
    with av.open(str(made.path)) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}
    assert made.seconds == pytest.approx(SECONDS if span is None else 2.5, abs=0.1)
    assert left(tmp_path) == ["a.mp4"]


@WAYS
@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, GONE_MAYBE), (410, GONE_MAYBE), (403, TRANSIENT), (402, THROTTLED), (429, THROTTLED), (500, TRANSIENT)],
)
@pytest.mark.parametrize("place", ["of_page", "of_file"])
def test_what_the_server_answers_is_the_reason(site, get, clips, tmp_path, span, status, kind, place):
    site.offer("a", clips / "both.mp4", **{place: [refusal(status, Retry_After="7")]})
    told = refused(get, "a", span)
    assert told.kind == kind and f"HTTP Error {status}" in told.reason
    if kind == THROTTLED:
        assert told.retry_after == 7.0
    assert left(tmp_path) == []


@WAYS
@pytest.mark.parametrize("fault", [refusal(500), cut], ids=["500", "cut"])
def test_a_server_that_recovers_is_asked_again(site, get, clips, span, fault):
    site.offer("a", clips / "both.mp4", of_file=[fault, whole])
    assert get("a", span, retries=1).seconds > 2


@WAYS
@pytest.mark.parametrize("fault", [cut, page, slow(3.0)], ids=["cut", "page", "slow"])
def test_what_may_work_another_time_is_transient(site, get, clips, tmp_path, span, fault):
    site.offer("a", clips / "both.mp4", of_file=[fault])
    assert refused(get, "a", span, socket_timeout=0.5).kind == TRANSIENT
    assert left(tmp_path) == []


@pytest.mark.parametrize(("span", "seconds"), [(None, SECONDS), (None, None), ((15.0, 16.0), SECONDS)])
def test_a_file_that_lacks_its_end_is_not_taken(site, get, clips, tmp_path, span, seconds):
    whole_file = (clips / "both.mp4").read_bytes()
    site.offer("a", whole_file[: len(whole_file) // 2], seconds)
    assert refused(get, "a", span).kind == TRANSIENT
    assert left(tmp_path) == []


@WAYS
@pytest.mark.parametrize(
    ("file", "code"), [("silent.mp4", "no_audio_stream"), ("blind.mp4", "no_video_stream")], ids=["silent", "blind"]
)
def test_a_video_without_sound_or_picture_is_unfit(site, get, clips, tmp_path, span, file, code):
    site.offer("a", clips / file)
    told = refused(get, "a", span)
    assert (told.kind, told.reason) == (MEDIA, code)
    assert left(tmp_path) == []


@pytest.mark.parametrize(("codec", "code"), [("mp4a", "no_audio_decoder"), ("avc1", "no_video_decoder")])
def test_a_video_that_cannot_be_decoded_is_unfit(site, get, clips, codec, code):
    file = (clips / "both.mp4").read_bytes().replace(codec.encode(), b"zzz9").replace(b"esds", b"zzzz")
    site.offer("a", file)
    told = refused(get)
    assert (told.kind, told.reason) == (MEDIA, code)


def test_a_file_that_is_no_video_is_unfit(site, get):
    site.offer("a", bytes(range(256)) * 40)
    told = refused(get)
    assert (told.kind, told.reason) == (MEDIA, "unreadable")


@pytest.mark.parametrize("seconds", [None, SECONDS])
@pytest.mark.parametrize("span", [(30.0, 40.0), (18.0, 28.0)])
def test_a_span_behind_the_end_is_outside(site, get, clips, span, seconds):
    site.offer("a", clips / "both.mp4", seconds)
    told = refused(get, "a", span)
    assert (told.kind, told.reason) == (MEDIA, "span_outside")


@WAYS
def test_a_video_above_the_limit_is_not_kept(site, get, clips, tmp_path, span):
    site.offer("a", clips / "both.mp4")
    told = refused(get, "a", span, limit_bytes=2000)
    assert (told.kind, told.reason) == (MEDIA, "too_large")
    assert left(tmp_path) == []


def test_a_video_above_the_limit_is_not_fetched_to_its_end(site, get, clips):
    site.offer("a", clips / "both.mp4", of_file=[cut])
    assert refused(get, limit_bytes=2000).reason == "too_large"


@pytest.mark.parametrize("files", [0, 2])
def test_a_page_has_one_video(site, get, clips, files):
    site.offer("a", clips / "both.mp4", files=files)
    assert refused(get).kind == TOOL


def test_a_host_without_a_server_is_transient(get, site):
    assert refused(get, "a", url_template="http://127.0.0.1:9/{id}").kind == TRANSIENT


def test_a_file_that_is_there_stays_when_the_next_one_fails(site, get, clips, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.mp4").write_bytes(b"before")
    refused(get)
    assert (tmp_path / "out/a.mp4").read_bytes() == b"before"


@pytest.mark.parametrize(
    "video_id", ["-v", "--exec=x", "a/b", "a?b=c&d", "$(touch x)", "a b;c", "100%", "%(title)s", "../a"]
)
def test_an_id_is_never_more_than_an_id(site, get, clips, video_id):
    site.offer(video_id, clips / "both.mp4")
    assert get(video_id).bytes == (clips / "both.mp4").stat().st_size
    assert site.asked[0][0] == f"/watch/{video_id}"


@WAYS
def test_cookies_are_sent_and_their_file_is_left_alone(site, get, clips, tmp_path, span):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tsecret-of-mine\n")
    before = cookies.read_bytes()
    site.offer("a", clips / "both.mp4", of_file=[refusal(403, Set_Cookie="name=other")])
    told = refused(get, "a", span, cookies=str(cookies))
    # ffmpeg sends none to a server at an unusual port.
    asked = site.asked[:2] if span is None else site.asked[:1]
    assert [headers["Cookie"] for _, headers in asked] == ["name=secret-of-mine"] * len(asked)
    assert cookies.read_bytes() == before and "secret" not in told.reason
    assert left(tmp_path) == []


@WAYS
def test_all_goes_through_the_proxy_with_the_headers_of_yt_dlp(site, get, clips, span):
    site.serve("http://video.invalid/a", b'<html><video src="/file.mp4"></video></html>', "text/html")
    # ffmpeg says the port, too.
    files = ["http://video.invalid/file.mp4", "http://video.invalid:80/file.mp4"]
    for file in files:
        site.serve(file, (clips / "both.mp4").read_bytes(), "video/mp4")
    get("a", span, url_template="http://video.invalid/{id}", proxy=site.address)
    assert {path for path, _ in site.asked} == {"http://video.invalid/a", files[1 if span else 0]}
    assert len({headers["User-Agent"] for _, headers in site.asked}) == 1
    assert site.asked[-1][1]["Referer"] == "http://video.invalid/a"


def test_ffmpeg_is_told_the_cookies_of_the_host_only_and_no_password(site, get, tmp_path, monkeypatch):
    cookies, program = tmp_path / "cookies.txt", tmp_path / "ffmpeg"
    lines = [f"{host}\tFALSE\t/\tFALSE\t0\tname\tof-{host}" for host in ("video.invalid", "other.invalid")]
    cookies.write_text("\n".join(["# Netscape HTTP Cookie File", *lines]) + "\n")
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{tmp_path}/told'\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    site.serve("http://video.invalid/a", b'<html><video src="/file.mp4"></video></html>', "text/html")
    site.serve("http://video.invalid/file.mp4", b"", "video/mp4")
    usual = {"url_template": "http://video.invalid/{id}", "proxy": site.address.replace("//", "//user:password@")}
    assert refused(get, "a", PART, cookies=str(cookies), **usual).reason == "ffmpeg exited with code 7"
    told = (tmp_path / "told").read_text()
    assert "name=of-video.invalid; path=/; domain=video.invalid;" in told
    assert "of-other.invalid" not in told and "password" not in told


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("name=secret-of-mine", 1),
        ("# Netscape HTTP Cookie File\nname=secret-of-mine", 2),
        ("# Netscape HTTP Cookie File\n\na.b\tFALSE\t/\tFALSE\tnever\tname\tsecret-of-mine", 3),
    ],
)
def test_a_file_that_holds_no_cookies_is_a_mistake_of_the_user(get, tmp_path, capfd, line, number):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(line)
    with pytest.raises(UserError, match=rf"cookies\.txt, line {number}: .*Netscape") as caught:
        get(cookies=str(cookies))
    assert "secret" not in str(caught.value) and capfd.readouterr() == ("", "")
    assert left(tmp_path) == []


def test_nothing_is_printed_and_no_secret_logged(site, get, clips, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    site.offer("a", clips / "both.mp4")
    get("a", PART, url_template=site.template + "?key=secret-of-mine")
    assert capfd.readouterr() == ("", "") and "generic" in caplog.text
    assert "secret" not in caplog.text


def test_after_a_kill_the_next_call_makes_the_file(site, get, clips, tmp_path):
    site.offer("a", clips / "both.mp4", of_file=[slow(60.0), whole])
    code = (
        "from pathlib import Path; from avrobust.data.web_video import WebVideos, fetch; "
        f"fetch('a', None, Path({str(tmp_path / 'out/a.mp4')!r}), WebVideos({site.template!r}, request_pause=0))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
    while len(site.asked) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = left(tmp_path)
    assert re.fullmatch(r"\.part-\d+-[0-9a-f]{8}-a\.mp4", part)
    assert get().bytes == (clips / "both.mp4").stat().st_size
    assert left(tmp_path) == [part, "a.mp4"]
    # As fetching does before it asks for anything.
    remove_leftovers(tmp_path / "out")
    assert left(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url_template": "file:///etc/{id}"}, "no address"),
        ({"url_template": "https://{id}/watch"}, "no address"),
        ({"url_template": "watch?v={id}"}, "no address"),
        ({"url_template": "https://example.org/watch"}, "no address"),
        ({"margin": -1.0}, "margin is -1"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"socket_timeout": 0}, "socket_timeout is 0"),
        ({"proxy": "socks5://user:password@example.org"}, r"'socks5://example.org' is no http"),
        ({"cookies": "/no/such/file"}, "is no file"),
    ],
)
def test_settings_that_cannot_be_are_a_mistake_of_the_user(given, message):
    with pytest.raises(UserError, match=message) as caught:
        WebVideos(**given)
    assert "password" not in str(caught.value)


def test_the_default_site():
    settings = WebVideos()
    assert settings.host == "www.youtube.com"
    assert settings.address("-a_B") == "https://www.youtube.com/watch?v=-a_B"


def test_yt_dlp_knows_every_option_and_finds_a_javascript_runtime(tmp_path):
    from yt_dlp import YoutubeDL
    from yt_dlp.downloader.common import FileDownloader
    from yt_dlp.downloader.fragment import FragmentFD

    cookies = tmp_path / "mine.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n")
    settings = WebVideos(proxy="http://localhost:1", cookies=str(cookies))
    options = web_video._options(tmp_path, settings)
    described = YoutubeDL.__doc__ + FileDownloader.__doc__ + FragmentFD.__doc__
    assert [name for name in options if name not in described] == []
    with YoutubeDL(web_video._options(tmp_path, WebVideos())) as ydl:
        assert ydl._js_runtimes["deno"].info.supported


def test_yt_dlp_is_imported_only_to_fetch():
    code = "import sys; from avrobust.data import refusals, web_video; sys.exit('yt_dlp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(SCRIPTS)})
