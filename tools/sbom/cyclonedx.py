# SPDX-License-Identifier: Apache-2.0
"""An inventory as CycloneDX 1.6 in JSON, made by cyclonedx-python-lib."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Entry
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.sbom.components import Component
from tools.sbom.inventory import Inventory


def document(inventory: Inventory, data: bytes, created: datetime) -> bytes:
    """The document; its serial number follows from the file."""
    digest = hashlib.sha256(data).hexdigest()
    whole = Entry(
        name=inventory.name,
        version=inventory.version,
        type=ComponentType.APPLICATION,
        bom_ref=inventory.name,
        hashes=[_sha256(digest)],
        licenses=[LicenseExpression(inventory.licence)],
    )
    entries = {c.key: _entry(c, inventory) for c in inventory.components}
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{inventory.name}/{digest}"),
        metadata=BomMetaData(component=whole, timestamp=created),
        components=entries.values(),
    )
    for component in inventory.components:
        me = entries[component.key]
        if not component.part_of:
            bom.register_dependency(whole, [me])
        for key in component.part_of:
            bom.register_dependency(entries[key], [me])
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def _entry(component: Component, inventory: Inventory) -> Entry:
    files = [
        Entry(
            name=name,
            type=ComponentType.FILE,
            bom_ref=f"file/{name}",
            hashes=[_sha256(hashlib.sha256(inventory.files[name]).hexdigest())],
        )
        for name in inventory.files_of(component)
    ]
    place = XsUri(component.location) if component.location else None
    return Entry(
        name=component.name,
        version=component.version,
        type=ComponentType.LIBRARY,
        bom_ref=component.key,
        purl=PackageURL.from_string(component.purl),
        hashes=[_sha256(component.sha256)] if component.sha256 else [],
        licenses=[LicenseExpression(component.licence)],
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=place)]
        if place
        else [],
        components=files,
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
