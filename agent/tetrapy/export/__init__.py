# SPDX-License-Identifier: Apache-2.0
"""What happens to an event between the process table and the sinks.

The order is Tetragon's (pkg/server, pkg/exporter), stated here once:

1. redaction, when a process enters the table, so that everything after it sees redacted text only;
2. allow and deny lists (`filters.lists`), of which the kernel decides a part (`filters.pushdown`);
3. aggregation;
4. the rate limit, which counts lines: an aggregated one is one;
5. field filters;
6. encoding, and the sink.

Tetragon applies field filters before 3 and 4. They change nothing but what a line shows, so doing
it last gives the same lines, and spares the work for lines that are not written.

`fanout` hands a batch to who counts events and to each `subscription`, which is one row of 2 to 6:
`stages` are 2 to 5, an encoder makes bytes, a `target` takes them. The export file is one
subscription; nothing in one knows of another.
"""
