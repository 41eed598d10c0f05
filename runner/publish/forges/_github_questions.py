"""What conditions ask GitHub: how many issues a search finds, and how a commit's checks ended."""

from collections.abc import Mapping

from runner.clients.github.api import GitHubApi
from runner.core.errors import RunnerError
from runner.core.model import Phase, Reason


def count_issues(api: GitHubApi, query: str) -> int:
    """How many issues and pull requests of the repository a search finds.

    GitHub's "Search issues and pull requests": a search that took too long tells of what it found until then.
    """
    whole = f"repo:{api.repository} {query}"
    found = api.call("GET", "search/issues", parameters={"q": whole, "per_page": 1}).json()
    count = found.get("total_count") if isinstance(found, dict) else None
    if not isinstance(count, int) or found.get("incomplete_results"):
        message = f"GitHub did not search to the end for `{whole}`"
        raise RunnerError(
            Phase.PLAN, Reason.FORGE_UNAVAILABLE, message, hint="ask again later", retryable=True
        )
    return count


def check_results(api: GitHubApi, sha: str) -> Mapping[str, str]:
    """By name: how each check run and each commit status of a commit ended, or how far it is.

    Where two have one name, one that failed counts.
    """
    results: dict[str, str] = {}
    page = 1
    while True:
        found = api.get(f"/commits/{sha}/check-runs", filter="latest", per_page=100, page=page)["check_runs"]
        for one in found:
            _note(results, str(one["name"]), str(one.get("conclusion") or one["status"]))
        if len(found) < 100:
            break
        page += 1
    for one in api.get(f"/commits/{sha}/status", per_page=100)["statuses"]:
        _note(results, str(one["context"]), str(one["state"]))
    return results


def _note(results: dict[str, str], name: str, result: str) -> None:
    if results.get(name, "success") in ("success", "neutral", "skipped"):
        results[name] = result
