"""The XMP packet that marks a picture as altered, the same in every file format.

The DOM of the standard library is used because it keeps the namespace prefixes of a packet; some readers search for the
letters `Iptc4xmpExt:`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from xml.dom.minidom import Document, Element, Text, parseString

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's term for a photo that a trained algorithm changed in part."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_XMLNS = "http://www.w3.org/2000/xmlns/"

_EMPTY_PACKET = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def mark_altered(packet: bytes | None) -> bytes:
    """The packet with the IPTC digital source type and the creator tool set, its other properties kept.

    Args:
        packet: XMP of the source photo; None, or one that cannot be read, gives a new packet.

    Returns:
        UTF-8 XMP: `Iptc4xmpExt:DigitalSourceType` is `DIGITAL_SOURCE_TYPE`, `xmp:CreatorTool` is "reage VERSION".
    """
    document = _parse(packet) or parseString(_EMPTY_PACKET)
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    _set_property(document, rdf, "Iptc4xmpExt", _IPTC, "DigitalSourceType", DIGITAL_SOURCE_TYPE)
    _set_property(document, rdf, "xmp", _XMP, "CreatorTool", f"reage {version('reage')}")
    return "".join(node.toxml() for node in document.childNodes).encode()


def read_mark(packet: bytes | None) -> tuple[str, str]:
    """The IPTC digital source type and the creator tool of a packet; "" for what it does not say."""
    document = _parse(packet)
    if document is None:
        return "", ""
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    return _get_property(rdf, _IPTC, "DigitalSourceType"), _get_property(rdf, _XMP, "CreatorTool")


def can_mark(packet: bytes) -> bool:
    """Whether the properties of a packet are kept by `mark_altered`: it can be read, and declares no entities."""
    return _parse(packet) is not None


def _parse(packet: bytes | None) -> Document | None:
    """The packet as a tree, or None; a packet that declares entities is never expanded."""
    if not packet or b"<!" in packet.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        return None
    try:
        document = parseString(packet.strip(b"\x00 \t\r\n"))
    except Exception:
        return None
    return document if document.getElementsByTagNameNS(_RDF, "RDF") else None


def _set_property(document: Document, rdf: Element, prefix: str, namespace: str, name: str, value: str) -> None:
    for description in _descriptions(rdf):
        if description.hasAttributeNS(namespace, name):
            description.removeAttributeNS(namespace, name)
        for old in [
            node for node in description.childNodes if (node.namespaceURI, node.localName) == (namespace, name)
        ]:
            description.removeChild(old)
    described = next(_descriptions(rdf), None)
    about = described.getAttributeNS(_RDF, "about") if described else ""
    added = document.createElementNS(_RDF, "rdf:Description")
    for owner, attribute, text in (
        (_XMLNS, "xmlns:rdf", _RDF),
        (_RDF, "rdf:about", about),
        (_XMLNS, f"xmlns:{prefix}", namespace),
        (namespace, f"{prefix}:{name}", value),
    ):
        added.setAttributeNS(owner, attribute, text)
    rdf.appendChild(added)


def _get_property(rdf: Element, namespace: str, name: str) -> str:
    for description in _descriptions(rdf):
        if description.hasAttributeNS(namespace, name):
            return str(description.getAttributeNS(namespace, name)).strip()
        for node in description.getElementsByTagNameNS(namespace, name):
            return "".join(str(child.data) for child in node.childNodes if isinstance(child, Text)).strip()
    return ""


def _descriptions(rdf: Element) -> Iterator[Element]:
    for node in rdf.childNodes:
        if isinstance(node, Element) and (node.namespaceURI, node.localName) == (_RDF, "Description"):
            yield node
