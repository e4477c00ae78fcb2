"""Names of network namespaces and interfaces, for people who are shown a number.

Tetragon's events have the inode of a network namespace and no name, and so do ours; the names are
for a log, a status command, and events of policies to come.
"""

from __future__ import annotations

import os
from typing import Dict, Iterable

from tetrapy.kernel.pyroute2 import part

NETNS_DIRECTORIES = ("/run/netns", "/var/run/docker/netns")  # `ip netns`, Docker


class NetworkNames:
    """What is found is kept; an unknown number is looked for again, since names come and go."""

    def __init__(self, directories: Iterable[str] = NETNS_DIRECTORIES) -> None:
        self._directories = tuple(directories)
        self._namespaces: Dict[int, str] = {}
        self._interfaces: Dict[int, str] = {}

    def namespace(self, inode: int) -> str:
        """The name of the network namespace with this inode, empty when it has none."""
        if inode not in self._namespaces:
            self._namespaces = namespace_names(self._directories)
        return self._namespaces.get(inode, "")

    def interface(self, index: int) -> str:
        """The name of this network namespace's interface with this index, or an empty string."""
        if index not in self._interfaces:
            self._interfaces = interface_names()
        return self._interfaces.get(index, "")


def namespace_names(directories: Iterable[str] = NETNS_DIRECTORIES) -> Dict[int, str]:
    """Inode -> name of every network namespace that has a name in one of `directories`.

    In the first of them where it has one. A directory that is not there holds none.
    """
    netns = part("netns")
    names: Dict[int, str] = {}
    for directory in directories:
        try:
            listed = sorted(netns.listnetns(directory))
        except OSError:
            continue
        for name in listed:
            try:
                names.setdefault(os.stat(os.path.join(directory, name)).st_ino, name)
            except OSError:
                continue  # it went away
    return names


def interface_names() -> Dict[int, str]:
    """Index -> name of every interface in this process' network namespace.

    Raises OSError when the kernel refuses to tell.
    """
    message = part("netlink.rtnl.ifinfmsg").ifinfmsg()
    request = part("netlink.rtnl").RTM_GETLINK
    names: Dict[int, str] = {}
    with part("netlink.rtnl.iprsocket").IPRSocket() as socket:
        socket.bind()
        for link in socket.nlm_request(message, request):
            names[link["index"]] = str(link.get_attr("IFLA_IFNAME"))
    return names
