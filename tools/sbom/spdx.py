# SPDX-License-Identifier: Apache-2.0
"""An inventory as SPDX 2.3 in JSON, made and validated by spdx-tools."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from typing import Any

from spdx_tools.common.spdx_licensing import (  # type: ignore[import-untyped] # it has none
    spdx_licensing,
)
from spdx_tools.spdx.model.actor import Actor, ActorType
from spdx_tools.spdx.model.checksum import Checksum, ChecksumAlgorithm
from spdx_tools.spdx.model.document import CreationInfo, Document
from spdx_tools.spdx.model.file import File, FileType
from spdx_tools.spdx.model.package import (
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
)
from spdx_tools.spdx.model.relationship import Relationship, RelationshipType
from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion
from spdx_tools.spdx.spdx_element_utils import calculate_package_verification_code
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

from tools.errors import BuildError
from tools.sbom.components import Component
from tools.sbom.inventory import Inventory

_DOCUMENT = "SPDXRef-DOCUMENT"


def document(inventory: Inventory, data: bytes, created: datetime) -> bytes:
    """The document. Raises BuildError when it is not valid."""
    digest = hashlib.sha256(data).hexdigest()
    name = inventory.title
    ids = {file: f"SPDXRef-File-{number}" for number, file in enumerate(sorted(inventory.files), 1)}
    files = {file: _file(inventory, file, identity) for file, identity in ids.items()}
    whole = _whole(inventory, digest)
    packages = [_package(component, inventory, files) for component in inventory.components]
    made = Document(
        CreationInfo(
            "SPDX-2.3",
            _DOCUMENT,
            name,
            f"https://spdx.org/spdxdocs/{name}-{digest}",
            [Actor(ActorType.TOOL, f"tetrapy-sbom-{inventory.version}")],
            created,
        ),
        packages=[whole, *packages],
        files=list(files.values()),
        relationships=_relationships(inventory, ids, whole.spdx_id),
    )
    problems = validate_full_spdx_document(made)
    if problems:
        raise BuildError(f"the SPDX document is not valid: {problems[0].validation_message}")
    text = io.StringIO()
    write_document_to_stream(made, text, validate=False)
    return text.getvalue().encode() + b"\n"


def _whole(inventory: Inventory, digest: str) -> Package:
    """The file itself, which contains all others."""
    return Package(
        f"SPDXRef-{inventory.name}",
        inventory.name,
        SpdxNoAssertion(),
        version=inventory.version,
        file_name=inventory.name,
        files_analyzed=False,
        license_concluded=_licence(inventory.licence),
        checksums=[Checksum(ChecksumAlgorithm.SHA256, digest)],
        primary_package_purpose=PackagePurpose.APPLICATION,
    )


def _package(component: Component, inventory: Inventory, files: dict[str, File]) -> Package:
    own = [files[name] for name in inventory.files_of(component)]
    licence = _licence(component.licence)
    checksums = [Checksum(ChecksumAlgorithm.SHA256, component.sha256)] if component.sha256 else []
    return Package(
        _id(component.key),
        component.name,
        component.location or SpdxNoAssertion(),
        version=component.version,
        files_analyzed=bool(own),
        verification_code=calculate_package_verification_code(own) if own else None,
        checksums=checksums,
        license_concluded=licence,
        license_declared=licence,
        license_info_from_files=[],
        copyright_text=SpdxNoAssertion(),
        external_references=[
            ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", component.purl)
        ],
        primary_package_purpose=PackagePurpose.SOURCE if not own else PackagePurpose.LIBRARY,
    )


def _file(inventory: Inventory, name: str, identity: str) -> File:
    data = inventory.files[name]
    licences = {component.key: component.licence for component in inventory.components}
    kind = FileType.SOURCE if name.endswith(".py") else FileType.BINARY
    return File(
        f"./{name}",
        identity,
        [
            # The format asks for SHA-1.
            Checksum(ChecksumAlgorithm.SHA1, hashlib.sha1(data, usedforsecurity=False).hexdigest()),
            Checksum(ChecksumAlgorithm.SHA256, hashlib.sha256(data).hexdigest()),
        ],
        file_types=[FileType.TEXT if name.endswith((".txt", "LICENSE", "NOTICE")) else kind],
        license_concluded=_licence(licences[inventory.owners[name]]),
        copyright_text=SpdxNoAssertion(),
    )


def _relationships(inventory: Inventory, ids: dict[str, str], whole: str) -> list[Relationship]:
    found = [Relationship(_DOCUMENT, RelationshipType.DESCRIBES, whole)]
    for component in inventory.components:
        me = _id(component.key)
        if not component.part_of:
            found.append(Relationship(whole, RelationshipType.CONTAINS, me))
        found += [
            Relationship(_id(key), RelationshipType.STATIC_LINK, me) for key in component.part_of
        ]
        found += [
            Relationship(me, RelationshipType.CONTAINS, ids[name])
            for name in inventory.files_of(component)
        ]
    return found


def _id(key: str) -> str:
    return f"SPDXRef-Package-{key}"


def _licence(expression: str) -> Any:
    return spdx_licensing.parse(expression, validate=True)
