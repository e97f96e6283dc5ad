"""A recording gives back the answers that were written, or says in a sentence why it is none."""

import gzip
import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from bike_assets.ingest.recordings import decode_line, encode_line, read_recording
from bike_assets.model.answers import Answer
from bike_assets.model.errors import NotARecording
from bike_assets.model.messages import Outcome
from bike_assets_tests.sources.builders import answer

BODY = answer("gbfs.station_status", b'{"data": {"stations": []}}')
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes, ".jsonl.xz": lzma.compress, ".jsonl.gz": gzip.compress,
    ".jsonl.zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("kept", [
    BODY,
    replace(BODY, body=b"<html>\xff\n</html>"),
    replace(BODY, body=b'"\xff"'),
    replace(BODY, body=None, http_status=304),
    replace(BODY, body=None, http_status=503, failure=Outcome.HTTP_ERROR, error="status 503: busy"),
    replace(BODY, body=None, http_status=None, failure=Outcome.TIMEOUT, error="no answer within 20 s"),
    replace(BODY, body=None, failure=Outcome.TOO_LARGE, error="more than 64 MB"),
], ids=["json", "no text", "no UTF-8", "304", "503", "timeout", "too large"])
def test_what_is_read_is_what_was_written(kept: Answer) -> None:
    line = encode_line(kept)
    assert line.count(b"\n") == 1
    assert decode_line(line, "here") == kept


def test_a_body_of_many_lines_is_one_line_and_the_same_json() -> None:
    body = b'{\r\n  "name": "a\\nb",\n  "n": [1,\n2]\n}\n'
    line = encode_line(replace(BODY, body=body))
    assert line.count(b"\n") == 1
    assert json.loads(decode_line(line, "here").body or b"") == json.loads(body)


@pytest.mark.parametrize("suffix", PACK)
def test_a_recording_is_read_however_it_is_packed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(PACK[suffix](encode_line(BODY) * 3))
    assert list(read_recording(path)) == [BODY] * 3


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst", ".jsonl.gz", ".jsonl.xz"])
def test_a_recording_that_was_cut_off_ends_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"made{suffix}"
    lines = b"".join(encode_line(replace(BODY, request_id=str(number))) for number in range(30_000))
    packed = PACK[suffix](lines)
    path.write_bytes(packed[: len(packed) // 2])
    ids = [each.request_id for each in read_recording(path)]
    assert 0 < len(ids) < 30_000
    assert ids == [str(number) for number in range(len(ids))]


@pytest.mark.parametrize(("name", "content", "sentence"), [
    ("a.csv", b"a,b\n", r"a\.csv: a recording ends in \.jsonl, \.xz, \.gz or \.zst, not in '\.csv'"),
    ("a.jsonl", b"hello\n", r"a\.jsonl, line 1 is no line of a recording"),
    ("a.jsonl", b"hello", r"a\.jsonl, line 1 is no line of a recording"),
    ("a.jsonl", encode_line(BODY) + b"[]\n", r"a\.jsonl, line 2 is no line of a recording"),
    ("a.jsonl", b'{"system_id": "a", "feed": "b"}\n', r"line 1 is no line of a recording.*fetched_at"),
    ("a.jsonl", b'{"system_id": "a", "feed": "b", "fetched_at": "2024-01-01T00:00:00"}\n', "no time zone.*with a Z"),
    ("a.jsonl.xz", b"hello\n", "cannot be decompressed"),
    ("a.jsonl.gz", b"hello\n", "cannot be decompressed"),
    ("a.jsonl.zst", b"hello\n", "cannot be decompressed"),
    ("a.jsonl.gz", gzip.compress(b"x" * 99, mtime=0)[:10] + b"\xff" * 50, "cannot be decompressed"),
])
def test_what_is_no_recording_is_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotARecording, match=sentence):
        list(read_recording(path))


def test_a_recording_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotARecording, match=r"gone\.jsonl does not exist\."):
        list(read_recording(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("system_id", ["foo/bar", "", "a\\u0000b"])
def test_an_id_that_no_topic_can_carry_is_refused(system_id: str) -> None:
    line = f'{{"system_id":"{system_id}","feed":"gbfs.station_status","fetched_at":"2026-05-04T12:00:00Z"}}'
    with pytest.raises(NotARecording, match="neither a slash"):
        decode_line(line.encode(), "line 1")


def test_a_body_that_is_nested_too_deep_is_kept_as_bytes() -> None:
    deep = b"[" * 100_000
    line = encode_line(answer("gbfs.station_status", deep))
    assert b"body_base64" in line
    assert decode_line(line, "line 1").body == deep
