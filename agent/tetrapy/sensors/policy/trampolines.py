# SPDX-License-Identifier: Apache-2.0
"""Kernel functions through fentry and fexit, and hooks of security modules, on this machine."""

from __future__ import annotations

from typing import List, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import features
from tetrapy.kernel.named_types import PATH
from tetrapy.policy.macros import effective
from tetrapy.policy.problems import quoted
from tetrapy.policy.types import KprobeHook, LsmHook
from tetrapy.sensors.policy.actions import hashes, overrides
from tetrapy.sensors.policy.hook import FENTRY, LSM
from tetrapy.sensors.policy.kprobes import absent, symbols_of
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site

MAX_FUNCTIONS = 64
"""Of one hook: programs are loaded for each function."""
HASHED = frozenset(
    "bprm_check_security bprm_committed_creds bprm_committing_creds bprm_creds_for_exec"
    " bprm_creds_from_file file_ioctl file_lock file_open file_post_open file_receive"
    " mmap_file".split()
)
"""LSM hooks that may sleep, and whose first argument is or has a file."""
_HELPER, _IMA = "bpf_ima_file_hash", "ima_file_hash"
_LSM_FUNCTION = "bpf_lsm_"  # and the hook's name: what the kernel calls for programs at it
_MODULE = "bpf"
_CONFIGS = {
    features.FENTRY: "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    features.LSM_PROGRAMS: "CONFIG_BPF_LSM",
}


def plan_fentry(hook: KprobeHook, machine: Machine) -> Plan:
    """Where the functions of a hook are. Raises PlaceError, PolicyUnsupportedError, KernelError."""
    expect_trampolines(features.FENTRY, "fentry", "hook it by a kprobe", machine)
    symbols, is_syscall = symbols_of(hook, machine)
    sites: List[Site] = []
    missing: List[str] = []
    for symbol in symbols:
        prototype = machine.btf.prototype(symbol)
        if prototype is None:
            missing.append(symbol)
            continue
        if hook.returns and not prototype.returns:
            raise PlaceError(f"function {symbol} returns nothing: leave return out")
        place = Place(FENTRY, (symbol,), 0, is_syscall=is_syscall, arguments=prototype.registers)
        sites.append(Site(place, (symbol,)))
    if missing and not (hook.ignore and hook.ignore.call_not_found):
        raise PlaceError(_not_typed(hook, missing[0], machine))
    if len(sites) > MAX_FUNCTIONS:
        raise PlaceError(
            f"{hook.call} are {len(sites)} functions; at most {MAX_FUNCTIONS} can be hooked by"
            " fentry, and more by kprobes"
        )
    return Plan(
        FENTRY,
        tuple(sites),
        hook,
        hook.args,
        hook.data,
        hook.return_arg if hook.returns else None,
        prototype=_prototype,
        left_out=tuple(f"fentry:{symbol}: the kernel's BTF has no such function"
                       for symbol in missing),
    )  # fmt: skip


def plan_lsm(hook: LsmHook, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, KernelError."""
    expect_trampolines(
        features.LSM_PROGRAMS, "an LSM hook", f"hook security_{hook.hook} by a kprobe", machine
    )
    function = _LSM_FUNCTION + hook.hook
    prototype = machine.btf.prototype(function)
    if prototype is None:
        raise PlaceError(
            f"this kernel has no LSM hook {quoted(hook.hook)}: its BTF has no function {function}"
        )
    _expect_module(machine)
    selectors = effective(hook.selectors, machine.spec.selectors_macros)
    hashing = hashes(selectors)
    if hashing:
        _expect_hashes(hook, machine)
    # libbpf knows the function by the hook's name.
    verdict = bool(overrides(selectors))
    arguments = prototype.registers
    place = Place(LSM, (hook.hook,), 0, arguments=arguments, gives_verdict=verdict)
    return Plan(
        LSM,
        (Site(place, (hook.hook,)),),
        hook,
        hook.args,
        prototype=_prototype_of_lsm,
        can_override=verdict,
        hashes=hashing,
    )


def _expect_hashes(hook: LsmHook, machine: Machine) -> None:
    if hook.hook not in HASHED:
        raise PlaceError(
            f"imaHash: {hook.hook} has no file that could be hashed; of LSM hooks these have:"
            f" {', '.join(sorted(HASHED))}"
        )
    missing = {_HELPER, _IMA} - machine.symbols.functions([_HELPER, _IMA])
    if missing:
        raise PlaceError(
            f"imaHash: this kernel has no {min(missing)}(): it is older than Linux 5.18, or was"
            " built without CONFIG_IMA"
        )


def expect_trampolines(
    feature: features.Feature, what: str, instead: str, machine: Machine
) -> None:
    """Raise PlaceError where this kernel lacks the feature; `instead` says what to do then."""
    if not machine.btf.is_there():
        raise PlaceError(
            f"{what} needs the BTF of the kernel itself, and this one has none: there is no {PATH}"
            f" (CONFIG_DEBUG_INFO_BTF); {instead}"
        )
    if not feature.is_there:
        raise PlaceError(
            f"this kernel takes no {feature.name}: it is older than Linux {feature.since}, was"
            f" built without {_CONFIGS[feature]}, or forbids them; {instead}"
        )


def _expect_module(machine: Machine) -> None:
    """Programs can be attached without that, but nobody would call them."""
    try:
        text = machine.files.security("lsm").decode("ascii", "replace")
    except (OSError, KernelError) as err:
        raise PlaceError(
            f"LSM hooks are called only where bpf is among the kernel's security modules, and"
            f" those are not reported: {err}"
        ) from err
    modules = text.strip().split(",")
    if _MODULE not in modules:
        raise PlaceError(
            f"bpf is not among the security modules of this kernel ({', '.join(modules)}), so that"
            f" it calls no programs at LSM hooks: boot with lsm={text.strip()},{_MODULE}"
        )


def _not_typed(hook: KprobeHook, symbol: str, machine: Machine) -> str:
    if symbol in machine.symbols.functions([symbol]):
        return (
            f"function {symbol} is in this kernel, but not in the BTF of the kernel itself, so"
            " that fentry cannot hook it (a function of a module, or one that the compiler"
            " changed); hook it by a kprobe"
        )
    return absent(hook, symbol)


def _prototype(types: KernelTypes, site: Site) -> Sequence[int]:
    return types.function(site.target[0])


def _prototype_of_lsm(types: KernelTypes, site: Site) -> Sequence[int]:
    return types.function(_LSM_FUNCTION + site.target[0])
