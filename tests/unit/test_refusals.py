"""Every message of the table, in the errors that yt-dlp raises."""

import email.utils
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import (
    HTTPError,
    IncompleteRead,
    NoSupportingHandlers,
    ProxyError,
    SSLError,
    TransportError,
)
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from avrobust.data.refusals import (
    AGE,
    GEO,
    GONE,
    GONE_MAYBE,
    KINDS,
    LONGEST_REASON,
    THROTTLED,
    TOOL,
    TRANSIENT,
    UNKNOWN,
    classify,
    one_line,
    retry_after,
)

# What the sites and yt-dlp write, around every phrase of the table.
MESSAGES = [
    (THROTTLED, "Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the authentication."),
    (THROTTLED, "Video unavailable. This content isn’t available, try again later."),
    (THROTTLED, "Video unavailable. The current session has been rate-limited by YouTube for up to an hour."),
    (THROTTLED, "YouTube is requiring a captcha challenge before playback"),
    (THROTTLED, "Your IP is likely being blocked by Youtube"),
    (TRANSIENT, "Unable to download API page: ('Connection aborted.', ConnectionResetError(104))"),
    (TRANSIENT, "Unable to download webpage: The read operation timed out"),
    (TRANSIENT, "[download] Got error: HTTPSConnectionPool(host='a.b', port=443): Read timed out."),
    (TRANSIENT, "unable to download video data: HTTP Error 403: Forbidden"),
    (TRANSIENT, "unable to download video data: HTTP Error 503: Service Unavailable"),
    (TRANSIENT, "The downloaded file is empty"),
    (TRANSIENT, "Failed to extract any player response"),
    (TRANSIENT, "ffmpeg exited with code 1"),
    (TOOL, "Requested format is not available. Use --list-formats for a list of available formats"),
    (TOOL, "No video formats found!"),
    (TOOL, "Only images are available for download. use --list-formats to see them"),
    (TOOL, "nsig extraction failed: Some formats may be missing"),
    (TOOL, "Cannot identify player '/s/player/x.js'"),
    (TOOL, "No supported JavaScript runtime could be found"),
    (TOOL, "You have requested downloading the video partially, but ffmpeg is not installed. Aborting"),
    (TOOL, "ffmpeg not found. Please install or provide the path using --ffmpeg-location"),
    (TOOL, "m3u8 download detected but ffmpeg could not be found. Please install"),
    (TOOL, "This format cannot be partially downloaded. Aborting"),
    (TOOL, "This video is DRM protected"),
    (TOOL, "Unsupported URL: http://example.org/"),
    (GONE, "Private video. Sign in if you've been granted access to this video."),
    (GONE, "This video is private"),
    (GONE, "Video unavailable. This video has been removed by the uploader"),
    (
        GONE,
        "Video unavailable. This video is no longer available because the YouTube account associated with this "
        "video has been terminated.",
    ),
    (GONE, "This video has been removed for violating YouTube’s Terms of Service"),
    (GONE, "Video unavailable. This video is no longer available due to a copyright claim by X"),
    (GONE, "This video is available to this channel's members on level X. Join this channel to get access"),
    (GONE, "Members-only content"),
    (GONE, "This video is available to this channel's members on level: Supporter (or any higher level)."),
    # For those who pay: whoever asks without an account gets the same answer for ever.
    (GONE, "This video is only available to Music Premium members"),
    (GONE, "This video requires payment to watch."),
    (GONE, "This movie requires purchase"),
    (GONE, "This film requires a purchase"),
    # An account that is no more, a claim, a rule of the site, in each of its forms.
    (
        GONE,
        "Video unavailable. This video is no longer available because the uploader has closed their YouTube account.",
    ),
    (
        GONE,
        "This video is no longer available because the YouTube account associated with this video has been closed.",
    ),
    (GONE, "This account has been terminated due to multiple or severe violations of YouTube's policy against spam"),
    (GONE, "This account has been closed."),
    (GONE, "This account has been suspended."),
    (GONE, "This video is no longer available due to a privacy claim by a third party"),
    (GONE, "This video is no longer available due to a trademark claim by X."),
    (GONE, "This video has been removed for violating YouTube's policy on nudity or sexual content"),
    # "in your country" is no refusal to a country here.
    (
        GONE,
        "This video has been removed for violating YouTube's policy on hate speech. Learn more about combating hate "
        "speech in your country.",
    ),
    (GONE, "This video has been removed by the user"),
    (GONE, "This video has been removed"),
    (GONE, "Video unavailable. This video contains content from X, who has blocked it on copyright grounds"),
    (GONE, "Incomplete YouTube ID dQw4w9. URL https://www.youtube.com/watch?v=dQw4w9 looks truncated."),
    (GONE, "This live stream recording is not available."),
    (GONE_MAYBE, "Video unavailable"),
    (GONE_MAYBE, "Video unavailable. This video is not available"),
    (GONE_MAYBE, "This content isn’t available."),
    (GONE_MAYBE, "This video is unavailable"),
    (GONE_MAYBE, "This video isn't available anymore"),
    (GONE_MAYBE, "This video is no longer available"),
    (GONE_MAYBE, "This video does not exist."),
    (GEO, "Video unavailable. The uploader has not made this video available in your country"),
    (
        GEO,
        "Video unavailable. This video contains content from X, who has blocked it in your country",
    ),
    (GEO, "This video is not available in your region"),
    (AGE, "This video is only available for registered users. Use --cookies for the authentication"),
    (AGE, "Sign in to confirm your age. This video may be inappropriate for some users. Use --cookies"),
    (AGE, "This video may be inappropriate for some users."),
    (AGE, "This video is age-restricted and only available on YouTube"),
    # What passes by itself.
    (TRANSIENT, "This live event will begin in 3 hours."),
    (TRANSIENT, "This live event has ended."),
    (TRANSIENT, "Premieres in 20 minutes"),
    (TRANSIENT, "Premiere will begin shortly"),
    (TRANSIENT, "We're processing this video. Check back later."),
    (TRANSIENT, "Something went wrong. Please try again later."),
    (TOOL, "The following content is not available on this app. Watch on the latest version of YouTube."),
    (TOOL, "Watch this video on the latest version of YouTube"),
]


def raised(error: Exception, cause: BaseException | None = None) -> Exception:
    """Return the error with the traces that raising it leaves."""
    try:
        if cause is None:
            raise error
        raise error from cause
    except Exception as caught:
        return caught


def reported(error: Exception) -> DownloadError:
    """Return what YoutubeDL makes of an error while it looks at a video."""
    info = getattr(error, "exc_info", None) or (None, None, None)
    return DownloadError(f"\x1b[0;31mERROR:\x1b[0m {error}", info if info[0] else (type(error), error, None))


def answer(status: int, **headers: str) -> HTTPError:
    """Return the error for a server's answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPError(Response(io.BytesIO(), "https://example.org/a?key=secret-of-mine", named, status=status))


def page_error(cause: Exception, page: str = "webpage") -> ExtractorError:
    """Return the error of an extractor that was refused a page."""
    return raised(ExtractorError(f"Unable to download {page}: {cause}", cause=cause), cause)


def test_kinds_have_the_names_that_journals_have():
    assert KINDS == ("throttled", "transient", "tool", "gone", "gone?", "geo", "age", "media", "unknown")


@pytest.mark.parametrize(("kind", "message"), MESSAGES, ids=[message[:40] for _, message in MESSAGES])
def test_every_message_has_its_kind(kind, message):
    error = raised(ExtractorError(message, expected=True, video_id="x", ie="youtube"))
    assert classify(error)[0] == classify(reported(error))[0] == classify(DownloadError(message))[0] == kind
    assert classify(DownloadError(message.upper()))[0] == kind
    assert classify(error)[1]


@pytest.mark.parametrize("message", ["Sign in. Use --cookies for the authentication", "An entirely new message"])
def test_what_is_in_no_table_is_unknown_only_if_the_site_said_it(message):
    said = raised(ExtractorError(message, expected=True, video_id="x", ie="youtube"))
    assert classify(said)[0] == classify(reported(said))[0] == UNKNOWN
    # A fault of yt-dlp's own, or a message that has lost its error, says nothing of the video.
    fault = raised(ExtractorError(message, video_id="x", ie="youtube"))
    assert classify(fault)[0] == classify(reported(fault))[0] == classify(DownloadError(message))[0] == TRANSIENT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GeoRestrictedError("This video is not available from your location", countries=["DE"]), GEO),
        (TransportError("name resolution failed"), TRANSIENT),
        (SSLError("bad handshake"), TRANSIENT),
        (ProxyError("no route"), TRANSIENT),
        (IncompleteRead(10, 20), TRANSIENT),
        (NoSupportingHandlers([], []), TOOL),
        (OSError(28, "No space left on device"), TRANSIENT),
        (KeyError("streamingData"), TRANSIENT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_every_error_has_its_kind_wherever_it_stands(error, kind):
    wrapped = page_error(error)
    # The text of a page's error says "transient"; a class that knows better comes first.
    for given_ in (error, reported(error), wrapped, reported(wrapped), raised(DownloadError("failed"), wrapped)):
        assert classify(given_)[0] == kind


@pytest.mark.parametrize(
    ("status", "page", "media"),
    [
        (429, THROTTLED, THROTTLED),
        (402, THROTTLED, THROTTLED),
        (404, GONE_MAYBE, GONE_MAYBE),
        (410, GONE_MAYBE, GONE_MAYBE),
        (403, TRANSIENT, TRANSIENT),
        (500, TRANSIENT, TRANSIENT),
        (503, TRANSIENT, TRANSIENT),
        (418, TRANSIENT, TRANSIENT),
    ],
)
def test_every_status_has_its_kind(status, page, media):
    error = answer(status)
    assert classify(reported(page_error(error)))[0] == page
    data = DownloadError(f"unable to download video data: {error}", (HTTPError, error, None))
    assert classify(data)[0] == classify(error)[0] == media


def test_a_lost_interface_is_not_a_lost_video():
    assert classify(reported(page_error(answer(404), "API page")))[0] == TRANSIENT


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [("7", 7.0), ("0", 0.0), (" 120 ", 120.0), ("soon", None), ("-5", None), ("", None), ("²", None)],
)
def test_the_wait_that_a_server_asks_for(given_, seconds):
    assert retry_after(reported(page_error(answer(429, Retry_After=given_)))) == seconds


def test_the_wait_may_be_a_date():
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 50 < retry_after(answer(503, Retry_After=in_a_minute)) <= 60
    assert retry_after(answer(503, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT")) == 0.0
    assert retry_after(answer(503)) is None and retry_after(ValueError("no answer")) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[0;31mERROR:\x1b[0m gone\r\nfor good\u2028now\x00", "gone for good now"),
        ("see https://a.b/c?sig=AAAA&expire=1#top now", "see https://a.b/c now"),
        ("proxy http://me:password@a.b:80/ failed", "proxy http://a.b:80/ failed"),
        (f"https://a.b/{'sig/AAAA/' * 9}x failed", "https://a.b/... failed"),
        ("GET /watch?v=x&pot=AAAA failed", "GET /watch failed"),
        ("sent Cookie: SID=AAAA; HSID=BBBB", "sent Cookie: ..."),
        ("Authorization=Bearer AAAA", "Authorization: ..."),
        ("visitor_data=AAAABBBBCCCC and id=x", "visitor_data=... and id=x"),
        ("{'po_token': 'AAAA', 'id': 1}", "{'po_token': ..., 'id': 1}"),
        ("host='www.youtube.com', port=443", "host='www.youtube.com', port=443"),
    ],
)
def test_a_reason_is_one_clean_line(text, line):
    assert one_line(text) == line


@given(st.text(max_size=400))
def test_a_reason_is_one_short_line(text):
    kind, reason = classify(DownloadError(text))
    assert kind in KINDS
    assert 0 < len(reason) <= LONGEST_REASON and reason.isprintable() and len(reason.splitlines()) == 1


def test_errors_that_point_at_each_other_come_to_an_end():
    one, other = ExtractorError("one"), ExtractorError("private video")
    one.cause, other.cause = other, one
    assert classify(one)[0] == GONE
