"""The content security policy of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from bot.checks.calls import Credentials, place
from bot.checks.csp import SEVERITIES, Finding, evaluate, nonces, read_policies
from bot.checks.kind import Context, Kind
from bot.checks.kinds.headers.pages import page
from bot.checks.observatory import policies_of
from bot.domain.check import Observation, Rules

_REUSED = Finding(
    severity="high",
    directive="script-src",
    value="'nonce-…'",
    text="the nonce is the same in two answers, so anybody can know it",
)


class ContentSecurityPolicyParams(Credentials):
    """Which page."""

    url: str = Field(min_length=1, description="Page whose policy is evaluated; it must answer 200 itself.")


class ContentSecurityPolicy(Kind[ContentSecurityPolicyParams]):
    """Evaluates the enforced policy; one that is only reported stops nothing."""

    name = "headers.csp"
    about = "Content security policy: enforced, and without what csp_evaluator finds dangerous."
    params = ContentSecurityPolicyParams
    values: ClassVar[Mapping[str, str]] = {
        "policy": "enforced or report_only; absent where there is none",
        "severity": f"severities found: {', '.join(SEVERITIES)}",
        "findings": "what was found, the worst first",
        "report_only": "whether there is a policy that is only reported, alone or besides",
    }

    def defaults(self, params: ContentSecurityPolicyParams) -> Rules:
        """Catalogue B3."""
        return Rules(
            must={"policy": "enforced"},
            fail={"severity": ["high"]},
            warn={"severity": ["syntax", "medium", "high_maybe"]},
        )

    def problem(self, params: ContentSecurityPolicyParams) -> str | None:
        """Credentials that exclude each other."""
        return params.credentials_problem()

    async def observe(self, params: ContentSecurityPolicyParams, context: Context) -> Observation:
        """Read the policy; twice where it has nonces."""
        answer = await page(context, params.url, params.sent_headers())
        enforced = policies_of(answer)
        reported = read_policies(answer.headers.get("content-security-policy-report-only", ""))
        policies = enforced or reported
        found = evaluate(policies)
        if nonces(policies):
            again = await page(context, params.url, params.sent_headers())
            repeated = policies_of(again) if enforced else policies
            if nonces(policies) & nonces(repeated) and enforced:
                found = [_REUSED, *found]
        state = "enforced" if enforced else "report_only" if reported else None
        said = {"enforced": "enforced", "report_only": "only reported, not enforced", None: "no policy"}[
            state
        ]
        many = f"{len(found)} finding{'' if len(found) == 1 else 's'}"
        counted = f"{many}, worst {found[0]}" if found else "no findings"
        return Observation(
            target=place(params.url),
            values={
                "policy": state,
                "severity": sorted({finding.severity for finding in found}, key=SEVERITIES.index),
                "findings": [str(finding) for finding in found],
                "report_only": bool(reported),
            },
            summary=said if state is None else f"{said}, {counted}",
            excerpt="\n".join(
                [
                    *(
                        "; ".join(" ".join([name, *_shown(values)]) for name, values in policy.items())
                        for policy in policies
                    ),
                    *map(str, found),
                ]
            ),
        )


def _shown(values: tuple[str, ...]) -> list[str]:
    return ["'nonce-…'" if value.casefold().startswith("'nonce-") else value for value in values]
