"""Which signatures of hidden marks count: ours, and others' only as much as none."""

import pytest

from runner.publish.signing import Signer, Trust

DATA = {"skill": "docs", "key": "7", "labels": ["a", "ü\udcff"], "draft": None}
OURS = Signer(b"k" * 32).of_repository("acme/app")


def test_what_our_key_signed_is_ours_whatever_the_order_of_its_fields() -> None:
    signature = OURS.sign("pull request", DATA)
    assert OURS.judge("pull request", dict(reversed(DATA.items())), signature) is Trust.OURS
    assert OURS.counts("pull request", DATA, signature)
    assert Signer(b"k" * 32).of_repository("Acme/APP").judge("pull request", DATA, signature) is Trust.OURS


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("pull request", {"key": "8"}),
        ("pull request", {"more": 1}),
        ("pull request", {"labels": []}),
        ("comment", {}),
    ],
)
def test_a_signature_of_something_else_is_forged_and_never_counts(
    kind: str, change: dict[str, object]
) -> None:
    signature = OURS.sign("pull request", DATA)
    assert OURS.judge(kind, DATA | change, signature) is Trust.FORGED
    assert not OURS.counts(kind, DATA | change, signature)


@pytest.mark.parametrize("mac", ["", ":", "0" * 64, "é\udcff", ":" + "0" * 64])
def test_a_signature_that_names_our_key_and_is_wrong_is_forged(mac: str) -> None:
    assert OURS.judge("pull request", DATA, f"{OURS.id}:{mac}") is Trust.FORGED


@pytest.mark.parametrize("signature", ["", None, 7, ["x"], "nobody:" + "0" * 64, "é"])
def test_what_nobody_here_can_check_counts_as_unsigned(signature: object) -> None:
    assert OURS.judge("pull request", DATA, signature) is Trust.UNKNOWN
    assert OURS.counts("pull request", DATA, signature)
    assert not Signer(OURS.key, required=True).counts("pull request", DATA, signature)


@pytest.mark.parametrize(
    "other", [Signer(), Signer(b"other" * 8), Signer(b"k" * 32).of_repository("acme/other")]
)
def test_another_hosts_and_another_repositorys_signatures_cannot_be_checked(other: Signer) -> None:
    assert other.judge("pull request", DATA, OURS.sign("pull request", DATA)) is Trust.UNKNOWN
    assert OURS.judge("pull request", DATA, other.sign("pull request", DATA)) is Trust.UNKNOWN


def test_without_a_key_nothing_is_signed_and_a_key_is_never_shown() -> None:
    assert Signer().sign("pull request", DATA) == "" == Signer().of_repository("a/b").id
    assert "kkk" not in repr(Signer(b"k" * 32)) + OURS.sign("pull request", DATA)
