"""A secret is found however it was written down, and ordinary texts hold none."""

import base64
import binascii
import bz2
import codecs
import gzip
import html
import io
import json
import lzma
import quopri
import random
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from runner.publish.policy import _decode, secrets

SECRET = "tok-9f8a7b6c5d4e3f2a1b0c/+Zz"
RAW = SECRET.encode()
B64 = base64.b64encode(RAW).decode()


def zipped(*members: bytes | int) -> bytes:
    """An archive; a number is the method of compression."""
    file = io.BytesIO()
    method = next((one for one in members if isinstance(one, int)), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, data in enumerate(one for one in members if isinstance(one, bytes)):
            archive.writestr(f"{number}.txt", data)
    return file.getvalue()


def tarred(*members: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for number, data in enumerate(members):
            member = tarfile.TarInfo(f"{number}.txt")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


UPPER, LOWER, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"


def translated(alphabet: str) -> bytes:
    return B64.translate(str.maketrans(f"{UPPER}{LOWER}{DIGITS}+/", alphabet)).encode()


def each(form: str) -> str:
    return "".join(form.format(byte) for byte in RAW)


DISGUISES: dict[str, bytes] = {
    "plain": RAW,
    "plain in a binary": b"\x00\x01\xff" + RAW + b"\xfe\x00",
    "base64": base64.b64encode(RAW),
    "base64 url-safe": base64.urlsafe_b64encode(RAW),
    "base64 without padding": base64.b64encode(RAW).rstrip(b"="),
    "base64 twice": base64.b64encode(base64.b64encode(RAW)),
    "base64 three times": base64.b64encode(base64.b64encode(base64.b64encode(RAW))),
    "base64 in lines": base64.encodebytes(RAW * 4),
    "base64 in string pieces": " + ".join(f'"{B64[at : at + 6]}"' for at in range(0, len(B64), 6)).encode(),
    "base64 twice, in lines": base64.encodebytes(base64.encodebytes(RAW)),
    "base32": base64.b32encode(RAW),
    "base32 in small letters": base64.b32encode(b"xy" + RAW + b"tail").lower(),
    "base64, reversed": base64.b64encode(RAW)[::-1],
    "hex, reversed": RAW.hex().encode()[::-1],
    "calls of chr": "+".join(f"chr({byte})" for byte in RAW).encode(),
    "octal codes": " ".join(f"{byte:03o}" for byte in RAW).encode(),
    "base64 of each four": b"\n".join(base64.b64encode(RAW[at : at + 4]) for at in range(0, len(RAW), 4)),
    "hex": RAW.hex().encode(),
    "hex with colons": RAW.hex(":").encode(),
    "hex with spaces": RAW.hex(" ").upper().encode(),
    "hex as C array": ", ".join(f"0x{byte:02X}" for byte in RAW).encode(),
    "hex dump with offsets cut": RAW.hex("\n", 8).encode(),
    "hex of base64": base64.b64encode(RAW).hex().encode(),
    "backslash x": each("\\x{:02x}").encode(),
    "backslash u": each("\\u{:04x}").encode(),
    "backslash octal": each("\\{:03o}").encode(),
    "character codes": str(list(RAW)).encode(),
    "character codes, one a line": "\n".join(f"{byte}," for byte in RAW).encode(),
    "percent for all": each("%{:02x}").encode(),
    "percent twice": quote(quote(SECRET, safe=""), safe="").encode(),
    "quoted-printable": quopri.encodestring(each("={:02X}").encode().replace(b"=", b"=3D")),
    "quoted-printable for all": each("={:02X}").encode(),
    "JSON": json.dumps({"a": SECRET}).replace("/", "\\/").encode(),
    "HTML decimal": each("&#{};").encode(),
    "HTML hexadecimal": each("&#x{:x};").encode(),
    "HTML names": html.escape(SECRET).replace("/", "&sol;").replace("+", "&plus;").encode(),
    "UTF-16 little": SECRET.encode("utf-16-le"),
    "UTF-16 big, with mark": b"\xfe\xff" + SECRET.encode("utf-16-be"),
    "UTF-32": SECRET.encode("utf-32"),
    "base64 of UTF-16": base64.b64encode(SECRET.encode("utf-16-le")),
    "gzip": gzip.compress(RAW * 3),
    "base64 of gzip": base64.b64encode(gzip.compress(RAW)),
    "hex of zlib": zlib.compress(RAW).hex().encode(),
    "zip": zipped(b"x" * 100 + RAW),
    "gzip of base64": gzip.compress(base64.b64encode(RAW)),
    "bzip2": bz2.compress(RAW),
    "xz": lzma.compress(RAW),
    "base64 in bcrypt's alphabet": translated("./" + UPPER + LOWER + DIGITS),
    "base64 in crypt's alphabet": translated("./" + DIGITS + UPPER + LOWER),
    "base64 in IMAP's alphabet": B64.replace("/", ",").encode(),
    "base64 in lines of three": "\n".join(B64[at : at + 3] for at in range(0, len(B64), 3)).encode(),
    "base64 in a comment": "\n".join(f"# {B64[at : at + 12]}" for at in range(0, len(B64), 12)).encode(),
    "base64 in a data URI": f"![x](data:text/plain;base64,{B64})".encode(),
    "base32hex": base64.b32hexencode(RAW),
    "base85": base64.b85encode(RAW),
    "ascii85": base64.a85encode(b"xyz" + RAW),
    "uuencode": binascii.b2a_uu(RAW),
    "hexdump, words of two bytes": b"0000000 "
    + b" ".join(RAW[at : at + 2][::-1].hex().encode() for at in range(0, 16, 2))
    + b"\n0000010 "
    + b" ".join(RAW[at : at + 2][::-1].hex().encode() for at in range(16, len(RAW), 2)),
    "hex in calls of chr": ".".join(f"chr(0x{byte:02x})" for byte in RAW).encode(),
    "code points": " ".join(f"U+{byte:04X}" for byte in RAW).encode(),
    "binary digits": " ".join(f"{byte:08b}" for byte in RAW).encode(),
    "one number": str(int.from_bytes(RAW, "big")).encode(),
    "backslash big U": each("\\U{:08x}").encode(),
    "backslash u in braces": each("\\u{{{:x}}}").encode(),
    "percent u": each("%u{:04X}").encode(),
    "quoted-printable in lines": each("={:02X}").replace("=38", "=\n=38").encode(),
    "HTML twice": html.escape(each("&#{};")).encode(),
    "HTML in JSON in a URL": quote(json.dumps(each("&#x{:x};"))).encode(),
    "base64 in a URL in JSON": json.dumps(quote(B64, safe="")).encode(),
    "URL of base64 of hex of JSON": quote(
        base64.b64encode(each("\\u{:04x}").encode().hex().encode())
    ).encode(),
    "hex of base64 of gzip": base64.b64encode(gzip.compress(RAW)).hex().encode(),
    "gzip three times": gzip.compress(gzip.compress(gzip.compress(RAW))),
    "base64 of UTF-32": base64.b64encode(SECRET.encode("utf-32")),
    "full-width letters": "".join(chr(ord(char) + 0xFEE0) for char in SECRET).encode(),
    "Unicode's tags": "".join(chr(0xE0000 + ord(char)) for char in SECRET).encode(),
    "zero-width spaces between": "\u200b".join(SECRET).encode(),
    "numbered lines": "\n".join(f"{number}. {char}" for number, char in enumerate(SECRET)).encode(),
    "zlib with a small window": zlib.compress(RAW, 1, wbits=9),
    "base64 of deflate": base64.b64encode(zlib.compress(RAW, wbits=-15)),
    "lzma": lzma.compress(RAW, format=lzma.FORMAT_ALONE),
    "zip with lzma": zipped(RAW, zipfile.ZIP_LZMA),
    "zip in zip": zipped(zipped(RAW)),
    "members of a zip": zipped(*(RAW[at : at + 6] for at in range(0, len(RAW), 6))),
    "ROT13": codecs.encode(SECRET, "rot13").encode(),
    "in capitals": SECRET.upper().encode(),
    "reversed": RAW[::-1],
    "one character a line": "\n".join(SECRET).encode(),
    "string pieces": b'"' + RAW[:9] + b'" + "' + RAW[9:20] + b'" \\\n  "' + RAW[20:] + b'"',
    "first two thirds": RAW[:19],
    "last two thirds": RAW[9:],
}
AROUND: dict[str, Callable[[bytes], bytes]] = {
    "alone": lambda text: text,
    "in prose": lambda text: b"See the notes below.\n\n" + text + b"\n\nThat is all there is to say.\n",
    "after 100 kB": lambda text: b"ordinary words and numbers 12345\n" * 3000 + text + b"\nmore\n",
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_secret_is_found(disguise: str, around: str) -> None:
    content = AROUND[around](DISGUISES[disguise])
    found = list(secrets.refusals({"docs/a.md": content}, {"DEPLOY_TOKEN": SECRET}))
    assert [(one.rule, one.subject) for one in found] == [("secret", "docs/a.md")]
    assert "DEPLOY_TOKEN" in found[0].message
    assert SECRET not in found[0].message


def test_a_secret_is_found_over_files_and_names() -> None:
    half = len(SECRET) // 2
    over_files = {"a": RAW[:half] + b"\n", "b": RAW[half:]}
    (found,) = secrets.refusals(over_files, {"TOKEN": SECRET})
    assert (found.subject, found.message) == (
        "all content together",
        "holds the secret TOKEN (split or cut)",
    )
    whole = "ghp-a1B2c3D4e5F6g7H8i9J0"
    over_names = {f"docs/{whole[:12]}": b"", f"docs/{whole[12:]}.md": b""}
    assert [one.subject for one in secrets.refusals(over_names, {"TOKEN": whole})] == ["all names together"]


@pytest.mark.parametrize(
    "written", [SECRET.replace("/", "-"), RAW.hex(), base64.urlsafe_b64encode(RAW).decode()]
)
@pytest.mark.parametrize("name", ["{}.md", "{number}-{}.md", "{}/page.md", "{number}_{}/page.md"])
def test_a_secret_is_found_in_names_one_after_the_other(name: str, written: str) -> None:
    secret = SECRET.replace("/", "-") if "-" in written else SECRET
    pieces = [written[at : at + 8] for at in range(0, len(written), 8)]
    paths = {f"docs/{name.format(piece, number=number)}": b"x" for number, piece in enumerate(pieces)}
    found = list(secrets.refusals(paths, {"TOKEN": secret}))
    assert [one.subject for one in found] == ["all names together"]


def test_a_secret_of_16_kb_takes_no_longer_in_a_text_made_to_be_slow() -> None:
    """Beginnings of compressed data that lead nowhere, and pieces of the secret: once they took minutes."""
    long = base64.encodebytes(random.Random(7).randbytes(12_000)).decode()
    for content in (b"\x1f\x8b\x08" * 30_000, long[:150].encode() * 600):
        began = time.process_time()
        list(secrets.refusals({"a": content}, {"KEY": long}))
        assert time.process_time() - began < 10


def test_what_unfolds_without_end_is_refused_and_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decode, "_ROOM", 200_000)
    monkeypatch.setattr(_decode, "_MORE_FED", 200_000)
    bomb = zlib.compress(b"\0" * 150_000, 9)
    content = b"".join(bomb + bytes([number]) for number in range(40))
    (found,) = secrets.refusals({"a.bin": content}, {"TOKEN": SECRET})
    assert (found.subject, "can be searched" in found.message) == ("a.bin", True)


def test_the_patch_names_only_what_no_file_named() -> None:
    patch = b"--- a/x\n+++ b/x\n-" + RAW + b"\n+harmless\n"
    both = {"x": RAW, secrets.PATCH: patch}
    assert [one.subject for one in secrets.refusals(both, {"TOKEN": SECRET})] == ["x"]
    alone = {"x": b"harmless", secrets.PATCH: patch}
    assert [one.subject for one in secrets.refusals(alone, {"TOKEN": SECRET})] == [secrets.PATCH]


_B64 = base64.b64encode(random.Random(3).randbytes(900)).decode()
KEY = "\n".join(_B64[at : at + 64] for at in range(0, 1200, 64))
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"
ACCOUNT = json.dumps(
    {"type": "service_account", "private_key": PEM, "token_uri": "https://example.com/token"}
)


@pytest.mark.parametrize(
    "content",
    [
        PEM,
        "\n".join(f" {number} | {line}" for number, line in enumerate(PEM.splitlines())),
        json.dumps(PEM.splitlines(), indent=1),
        KEY.splitlines()[4],
    ],
)
@pytest.mark.parametrize("secret", [PEM, ACCOUNT])
def test_what_is_inside_a_secret_is_one_too(secret: str, content: str) -> None:
    assert list(secrets.refusals({"a": content.encode()}, {"KEY": secret}))


def test_what_everybody_knows_of_a_secret_is_none() -> None:
    content = (
        b'-----BEGIN PRIVATE KEY-----\n"type": "service_account", "token_uri": "https://example.com/token"'
    )
    assert list(secrets.refusals({"a": content}, {"KEY": ACCOUNT})) == []


@pytest.mark.parametrize("form", ["gzip", "hexadecimal"])
def test_what_cannot_be_searched_whole_is_refused(form: str) -> None:
    hidden = gzip.compress(RAW) if form == "gzip" else RAW.hex().encode()
    bombs = b"\n".join(base64.b64encode(zlib.compress(bytes([at]) * 20_000_000)) for at in (1, 2))
    content = bombs + b"\n" + base64.b64encode(hidden)
    assert list(secrets.refusals({"a": content}, {"TOKEN": SECRET}))


def test_what_is_far_behind_in_something_compressed_is_refused_too() -> None:
    behind = base64.b64encode(gzip.compress(b"\0" * 20_000_000 + RAW))
    (refusal,) = secrets.refusals({"a": behind}, {"TOKEN": SECRET})
    assert refusal.message == "holds more encoded content than can be searched for secrets"


def test_every_secret_of_several_is_named() -> None:
    content = base64.b64encode(b"alpha-0123456789xyz") + b"\n" + b"bravo-qwertyuiopasd".hex().encode()
    values = {"ONE": "alpha-0123456789xyz", "TWO": "bravo-qwertyuiopasd", "THREE": "delta-zxcvbnmlkjhgf"}
    named = sorted(one.message.split()[3] for one in secrets.refusals({"patch": content}, values))
    assert named == ["ONE", "TWO"]


def test_a_part_of_a_long_secret_is_found_wherever_it_begins() -> None:
    chance = random.Random(7)
    key = base64.b64encode(chance.randbytes(12_000)).decode()
    contents = {
        str(start): b"words " * 1000 + key[start : start + 420].encode() + b" words" * 1000
        for start in (0, 1, 4_001, len(key) - 420)
    }
    contents["a small part"] = key[:60].encode()
    named = [one.subject for one in secrets.refusals(contents, {"KEY": key})]
    assert sorted(named) == sorted(set(contents) - {"a small part"})


def test_our_own_sources_and_docs_hold_no_secret() -> None:
    root = Path(__file__).parents[3]
    files = [*sorted((root / "runner").rglob("*.py"))[::3], *(root / "docs").rglob("*.md")]
    contents = {str(path): path.read_bytes() for path in files}
    values = {"A": SECRET, "B": "docs/a.md", "C": "ghp_" + "a1B2c3D4" * 4, "D": "correct horse battery"}
    named = {
        one.message.split()[3] for one in secrets.refusals(contents, values) if "secret B" not in one.message
    }
    assert named == set()


SIXES = [RAW[at : at + 6] for at in range(0, len(RAW), 6)]
STORED = zipped(zipfile.ZIP_STORED, *SIXES)
LARGE = [random.Random(1).randbytes(30_000) + SIXES[0], *SIXES[1:-1], SIXES[-1] + b"\n" * 30_000]


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (STORED, "members of a zip"),
        (zipped(*SIXES), "members of a zip"),
        (zipped(zipfile.ZIP_BZIP2, *SIXES), "members of a zip"),
        (zipped(zipfile.ZIP_STORED, *LARGE), "members of a zip"),
        (b"# see\n" + base64.b64encode(STORED), "base64, members of a zip"),
        (STORED.hex().encode(), "hexadecimal, members of a zip"),
        (gzip.compress(STORED), "compressed, members of a zip"),
        (tarred(*SIXES), "members of a tar"),
        (tarred(*SIXES, form=tarfile.USTAR_FORMAT), "members of a tar"),
        (tarred(*SIXES, form=tarfile.GNU_FORMAT), "members of a tar"),
        (gzip.compress(tarred(*SIXES)), "compressed, members of a tar"),
        (base64.encodebytes(gzip.compress(tarred(*SIXES))), "base64, compressed, members of a tar"),
        (base64.b64encode(tarred(*LARGE)), "base64, members of a tar"),
        (b"odd" * 7 + tarred(*SIXES), "members of a tar"),
    ],
)
def test_a_secret_over_the_members_of_an_archive_is_found(content: bytes, how: str) -> None:
    (refusal,) = secrets.refusals({"docs/a": content}, {"TOKEN": SECRET})
    assert refusal.message in (
        f"holds the secret TOKEN ({how})",
        f"holds the secret TOKEN ({how}, split or cut)",
    )


def test_members_are_read_in_the_order_of_their_names_too() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, data in reversed(list(enumerate(SIXES))):
            archive.writestr(f"{number}.txt", data)
    assert list(secrets.refusals({"a.zip": file.getvalue()}, {"TOKEN": SECRET}))


def test_an_archive_of_ordinary_members_holds_no_secret() -> None:
    words = [b"a line of words\n" * 100] * 6
    for content in (zipped(*words), zipped(zipfile.ZIP_STORED, *words), tarred(*words)):
        assert list(secrets.refusals({"a": content}, {"TOKEN": SECRET})) == []


@pytest.mark.parametrize(
    "piece", [b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 14 + b"\xff\xff\xff\0" + b"\0" * 8, b"ustar"]
)
def test_beginnings_of_archives_take_no_long_time(piece: bytes) -> None:
    began = time.process_time()
    list(secrets.refusals({"a": piece * (400_000 // len(piece))}, {"TOKEN": SECRET}))
    assert time.process_time() - began < 10


WORDY = "peacockHoVexyapexhungSoap"
CYRILLIC = str.maketrans("eacopxyHV", "\u0435\u0430\u0441\u043e\u0440\u0445\u0443\u041d\u0474")
GREEK = str.maketrans("kotabenpuvx", "\u03ba\u03bf\u03c4\u03b1\u0412\u03b5\u03b7\u03c1\u03c5\u03bd\u03c7")
ARMENIAN = str.maketrans("ohnugS", "\u0585\u0570\u0578\u057d\u0581\u054f")


@pytest.mark.parametrize(
    "written",
    [
        WORDY.translate(CYRILLIC),
        WORDY.translate(GREEK),
        WORDY.translate(ARMENIAN),
        "\u0301".join(WORDY),
        WORDY.replace("e", "\u00e9").replace("o", "\u00f6").replace("a", "\u00e4"),
    ],
)
def test_a_secret_in_letters_that_look_like_its_own_is_found(written: str) -> None:
    (refusal,) = secrets.refusals({"a": written.encode()}, {"TOKEN": WORDY})
    assert "look-alike letters" in refusal.message or "split or cut" in refusal.message


def test_a_text_of_another_alphabet_holds_no_secret() -> None:
    text = "\u0445\u043e\u0440\u043e\u0448\u043e, \u03ba\u03b1\u03bb\u03cc " * 50
    assert list(secrets.refusals({"a": text.encode()}, {"TOKEN": WORDY})) == []
