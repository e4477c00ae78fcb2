# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: what the real Tetragon answered to policies, where its answers are at hand."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT
from tetrapy.errors import PolicyError
from tetrapy.policy.later import later
from tetrapy.policy.read import read_policy
from tetrapy.policy.text import text_of

CASES = ROOT.parent / "shared/reference/tetragon/policy-golden/cases"

# What only the kernel, the file system or a setting can refuse.
WHEN_LOADED = {
    "e05-wrong-apiversion": "an unknown system call",
    "e100-uprobe-no-file": "a file that is not there",
    "e101-uprobe-digest": "a file with another digest",
    "e103-lsm-unknown-hook": "an unknown hook",
    "e112-tp-auto-data-loc": "a field that Tetragon cannot read",
    "e14-unknown-symbol": "an unknown function",
    "e70-parent-binaries-off": "a setting",
    "e80-resolve-unknown-field": "an unknown member",
    "e95-tp-index": "a tracepoint with fewer fields",
    "63-override-syscall": "a kernel without the helper",
}
# Words of our refusal that say the same as Tetragon's.
REFUSALS = {
    "17-capability": "the type capability does not support Equal",
    "e01-unknown-field-spec": '"probes" is no field of spec',
    "e02-unknown-field-selector": '"matchArg" is no field of spec.kprobes[0].selectors[0]',
    "e04-wrong-kind": 'kind: is "TracePolicy"; did you mean TracingPolicy?',
    "e07-no-name": "metadata.name: is missing",
    "e08-no-spec": "spec: is missing",
    "e10-two-documents": "a second policy begins",
    "e104-lsm-matchreturn": "matchReturnArgs: is not for LSM hooks",
    "e106-lsm-getsomething": "NotifyEnforcer is not supported for LSM hooks",
    "e107-fentry-sigkill": "Sigkill is not supported for fentries",
    "e109-option-bad-value": 'spec.options[0].value: "audit" is unknown',
    "e11-not-yaml": "no YAML: expected ',' or ']'",
    "e110-option-bad-bool": 'spec.options[0].value: "perhaps" is neither true nor false',
    "e13-no-call": "spec.kprobes[0].call: is missing",
    "e16-unknown-type": 'spec.kprobes[0].args[0].type: is "integer"; one of auto, int, ',
    "e17-type-auto-kprobe": "spec.kprobes[0].args[0].type: is auto",
    "e19-type-syscall64-kprobe": "spec.kprobes[0].args[0].type: is syscall64",
    "e20-six-args": "spec.kprobes[0].args: has 6 elements; at most 5",
    "e22-index-negative": 'spec.kprobes[0].args[0].index: is the number "-1"',
    "e23-six-selectors": "spec.kprobes[0].selectors: has 6 elements; at most 5",
    "e25-lower-operator": 'matchArgs[0].operator: is "equal"; did you mean Equal?',
    "e26-bad-int-value": 'matchArgs[0].values[0]: "abc" is no whole number',
    "e28-five-int-values": "has 5 values; at most 4 are supported here: InMap",
    "e34-dport-on-int": "DPort is for skb, sock, sockaddr, socket",
    "e35-bad-cidr": '"10.0.0.0/40" has more than 32 bits',
    "e38-long-prefix": "has 300 bytes; at most 256",
    "e40-return-without-arg": "returnArg: is missing: return: true needs it",
    "e41-return-arg-bad-type": 'returnArg.type: is "nothing"',
    "e43-returnargaction-other": 'returnArgAction: is "Post"; TrackSock or UntrackSock',
    "e46-sizeargindex-16": "sizeArgIndex: is 16; at most 15",
    "e47-bad-action": 'action: is "Explode"',
    "e49-ratelimit-on-sigkill": "rateLimit: is for Post; the action is Sigkill",
    "e50-ratelimit-bad": '"5 minutes" is no time',
    "e52-stack-on-signal": "kernelStackTrace: is for Post; the action is Signal",
    "e53-override-plain-function": "supported for system calls and security_ functions only",
    "e55-enforcer-plain-function": '"tcp_connect" is neither a system call',
    "e56-enforcer-two": "spec.enforcers: has 2 elements; at most 1",
    "e58-list-missing": 'names the list "nowhere", which is not there',
    "e59-list-bad-type": 'spec.lists[0].type: is "curious"',
    "e61-list-ftrace-no-pattern": "spec.lists[0].pattern: is missing",
    "e62-list-bad-syscall": '"getpgid_no" is no system call',
    "e64-bad-capability": '"CAP_GOLD" is no capability',
    "e65-bad-namespace": 'namespace: is "Gold"',
    "e67-two-binaries": "matchBinaries: has 2 elements; at most 1",
    "e68-long-binary": "has 301 bytes; at most 255",
    "e71-pid-operator": 'operator: is "Equal"; one of In, NotIn',
    "e73-message-one-byte": "message: has 1 bytes; at least 2",
    "e76-tag-one-byte": "tags[0]: has 1 bytes; at least 2",
    "e77-macro-undefined": '"nowhere" is no macro of this policy',
    "e79-macro-field-twice": '"a" adds matchBinaries, which is there already',
    "e82-resolve-bad-path": 'resolve: "a[0" is no path',
    "e83-data-no-source": "data[0].source: is missing",
    "e85-matchdata-no-data": "matchData[0]: there is no element 0",
    "e91-loader-podselector": "spec.loader: cannot be limited to pods",
    "e94-tp-no-event": "spec.tracepoints[0].event: is missing",
    "e97-uprobe-no-symbol": "found none",
    "e98-uprobe-both": "found symbols and offsets",
}
# Tetragon has them in Kubernetes only; here they are for any container.
WORKLOADS = {"e88-podselector", "e89-containerselector", "e92-workloads"}


if CASES.is_dir():

    @pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
    def test_an_answer(case: str) -> None:
        """What Tetragon takes is taken, and what it refuses is refused for the same reason."""
        policy = str(CASES / case / "policy.yaml")
        if case in REFUSALS:
            with pytest.raises(PolicyError) as caught:
                read_policy(text_of(policy))
            assert REFUSALS[case] in str(caught.value)
            return
        features = [feature.name for feature in later(read_policy(text_of(policy)).policy)]
        if case in WORKLOADS:
            assert features == []
        elif (CASES / case / "error.txt").exists():
            assert case in WHEN_LOADED
        else:
            assert all(name.startswith("action ") for name in features)
