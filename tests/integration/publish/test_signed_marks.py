"""Which hidden marks count, by whose key signed them, among several hosts of one repository."""

from dataclasses import replace

import pytest

from runner.core.model import Reason
from runner.publish.outputs import _marker as marker
from runner.publish.signing import NO_KEY, Signer, is_forged_comment
from tests.parts.publishing import SIGNER, Here, human, refused

OTHER = Signer(b"o" * 32).of_repository("o/r")  # of another host


def ended(here: Here, signer: Signer, *, forge_it: bool = False) -> None:
    """Close the pull request with a mark that says that we did so, signed by `signer`."""
    (pull,) = here.pulls()
    found = marker.read(pull.body, NO_KEY)
    assert found
    text = marker.replace_in(pull.body, replace(found, ended=not forge_it), signer)
    here.forge.close(pull.number, text.replace('"ended": false', '"ended": true') if forge_it else text)


@pytest.mark.parametrize("signer", [SIGNER, NO_KEY, OTHER])
@pytest.mark.parametrize("reader", [SIGNER, NO_KEY, OTHER])
def test_a_mark_counts_by_any_host_unless_our_own_key_says_that_it_is_forged(
    here: Here, signer: Signer, reader: Signer
) -> None:
    """A laptop, a worker and an Action share the repository, each with a key of its own or with none."""
    here.publish(here.offer(signer=signer))
    ended(here, signer)
    assert here.publish(here.offer(signer=reader)).action == "created", "it was closed by us"


@pytest.mark.parametrize(("signer", "reader"), [(SIGNER, SIGNER), (OTHER, OTHER)])
def test_a_mark_that_somebody_changed_under_our_signature_never_counts(
    here: Here, signer: Signer, reader: Signer
) -> None:
    here.publish(here.offer(signer=signer))
    ended(here, signer, forge_it=True)
    error = refused(lambda: here.publish(here.offer(signer=reader)))
    assert error.reason is Reason.CLOSED_BY_HUMAN, "nobody but a person closed it"


@pytest.mark.parametrize(("signer", "counts"), [(SIGNER, True), (NO_KEY, False), (OTHER, False)])
def test_where_signatures_are_required_only_those_of_our_key_count(
    here: Here, signer: Signer, counts: bool
) -> None:
    here.publish(here.offer(signer=signer))
    ended(here, signer)
    offer = here.offer(signer=replace(SIGNER, required=True))
    if counts:
        assert here.publish(offer).action == "created"
    else:
        assert refused(lambda: here.publish(offer)).reason is Reason.CLOSED_BY_HUMAN


def test_a_signed_mark_of_another_repository_is_as_good_as_none(here: Here) -> None:
    here.publish(here.offer(signer=Signer(b"k" * 32).of_repository("o/other")))
    (pull,) = here.pulls()
    assert marker.read(pull.body, replace(SIGNER, required=True)) is None
    assert marker.read(pull.body, SIGNER) is not None


def test_a_forged_mark_on_an_open_pull_request_is_replaced_by_a_signed_one(here: Here) -> None:
    here.publish(here.offer())
    (pull,) = here.pulls()
    here.forge.update(
        pull.number, title=pull.title, body=pull.body.replace('"ended": false', '"ended": true')
    )
    assert marker.read(here.pulls()[0].body, SIGNER) is None
    assert here.publish(here.offer({"docs/a.md": b"newer\n"}, run_id="run-2")).action == "updated"
    found = marker.read(here.pulls()[0].body, replace(SIGNER, required=True))
    assert found is not None
    assert (found.ended, found.reopened) == (False, False)


def test_the_note_of_hands_off_is_signed_and_left_once(here: Here) -> None:
    here.publish(here.offer())
    human(here)
    for _ in range(2):
        assert refused(lambda: here.publish(here.offer())).reason is Reason.HUMAN_COMMIT
    (note,) = here.forge.table.comments(here.pulls()[0].number)
    number = here.pulls()[0].number
    assert f"<!-- skillrunner-signature: {SIGNER.id}:" in note
    assert [is_forged_comment(one, note, number) for one in (SIGNER, NO_KEY, OTHER)] == [False] * 3
    assert is_forged_comment(SIGNER, note, number + 1)
    assert is_forged_comment(SIGNER, note.replace("hands-off -->", "ended x -->"), number)
