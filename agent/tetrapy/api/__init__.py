# SPDX-License-Identifier: Apache-2.0
"""The gRPC API, for both ends: Tetragon's services, without protobuf's and gRPC's libraries.

`wire` has protobuf's primitives, `messages` and `services` say which messages and calls there are,
`codec` makes JSON-shaped values of bytes and back. `grpc` has gRPC's framing and statuses,
`connection` speaks HTTP/2 by h2 over whatever carries bytes; `client` and `server` are the ends.

Nothing here is imported before the first client connects.
"""
