"""The headers that inform callers of limits before they reach them.

RateLimit-Policy and RateLimit follow draft-ietf-httpapi-ratelimit-headers-10: lists of
structured fields (RFC 9651), each a policy's name with `q` (how many), `w` (in how many seconds),
`r` (how many are left) and `t` (seconds until there are more).
"""

from hudhud.core.rates import span
from hudhud.verification.limits.rate_limits import Quota, QuotaPolicy


def headers(quota: Quota) -> dict[str, str]:
    """Return the headers of any answer; none without a limit.

    In a refusal, RateLimit lists only the exceeded policies: no `t` may be later than Retry-After.
    """
    if not quota.policies:
        return {}
    shown = [policy for policy in quota.policies if policy.remaining == 0 or not quota.is_reached]
    return {
        "RateLimit-Policy": ", ".join(map(_policy, quota.policies)),
        "RateLimit": ", ".join(map(_left, shown)),
    }


def _policy(policy: QuotaPolicy) -> str:
    return f"{_name(policy)};q={policy.rate.most};w={policy.rate.window_ms // 1000}"


def _left(policy: QuotaPolicy) -> str:
    return f"{_name(policy)};r={policy.remaining};t={policy.reset_seconds}"


def _name(policy: QuotaPolicy) -> str:
    return f'"{policy.name}-{span(policy.rate.window_ms)}"'
