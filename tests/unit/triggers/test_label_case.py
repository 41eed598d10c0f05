"""Labels are the same in capitals and small letters, as on GitHub."""

import pytest

from runner.triggers.options import label_mismatch


@pytest.mark.parametrize("action", ["labeled", "opened"])
@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        ("Docs", "docs", True),
        ("docs", "DOCS", True),
        ("STRASSE", "stra\u00dfe", True),
        ("doc", "docs", False),
    ],
)
def test_case_does_not_matter(action: str, there: str, wanted: str, expected: bool) -> None:
    payload = {"action": action, "label": {"name": there}, "issue": {"labels": [{"name": there}]}}
    assert (label_mismatch(payload, "issue", [wanted]) == "") is expected
