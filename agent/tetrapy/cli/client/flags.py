# SPDX-License-Identifier: Apache-2.0
"""Flags that many commands share. Names, letters and defaults are those of Tetragon's client."""

from __future__ import annotations

from tetrapy.cli.client.command import Flag
from tetrapy.config.setting import BOOL, DURATION, FILE, INT, LIST, SECOND, STRING, Setting

DEBUG = Flag(Setting("debug", BOOL, False, "print more on standard error", short="d"))

CONNECTION = (
    Flag(Setting("server-address", STRING, "",
                 "address of the agent: unix:///path or host:port; unless given, the one that its"
                 " info file names")),
    Flag(Setting("timeout", DURATION, 30 * SECOND, "how long a call may take")),
    Flag(Setting("retries", INT, 1,
                 "how often a call is tried again when nobody answers, after 1s, 2s, 4s ...")),
    Flag(Setting("max-recv-size", INT, 10 << 20, "largest message that is taken, in bytes")),
    Flag(Setting("tls-cert-file", FILE, "", "own certificate, in PEM, for mutual TLS")),
    Flag(Setting("tls-key-file", FILE, "", "the key of the own certificate, in PEM")),
    Flag(Setting("tls-ca-cert-files", LIST, (),
                 "files of certificates, in PEM, that the agent's is checked with")),
    Flag(Setting("tls-server-name", STRING, "", "name that the agent's certificate has")),
    Flag(Setting("tls-skip-verify", BOOL, False,
                 "take any certificate of the agent: only for trials")),
)  # fmt: skip
"""Where the agent is; any of the TLS flags asks for TLS 1.3."""

GLOBAL = (DEBUG, *CONNECTION)
"""Of every command."""

NAMESPACE = Flag(Setting("namespace", STRING, "", "namespace of the policy", short="n"))
DOMAIN = Flag(
    Setting("domain", STRING, "", "domain of the policy: grpc (unless given), static for files")
)
MODE = Flag(
    Setting("mode", STRING, "", "what the policy may do", short="m", choices=("enforce", "monitor"))
)


def output(*forms: str) -> Flag:
    """The form of the output; the first is the default."""
    return Flag(Setting("output", STRING, forms[0], "form of the output", short="o", choices=forms))
