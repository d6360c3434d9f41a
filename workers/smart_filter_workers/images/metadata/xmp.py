"""Write the XMP packet of a picture: its digital source type.

Source: ISO 16684-1 (XMP), 7; IPTC Photo Metadata Standard 2023.2, "Digital Source Type".
"""

from typing import Final

# Source: IPTC NewsCodes, http://cv.iptc.org/newscodes/digitalsourcetype/ of 2024-10-23: a mix of
# several elements, whether generative AI made one or not. The other composites claim more than is
# known of a client's background: `compositeCapture` that all elements are captured,
# `compositeSynthetic` that one is generated. `compositeWithTrainedAlgorithmicMedia` is for pictures
# that a generative model edited; here no model draws pixels.
COMPOSITE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def make_packet(source_type: str) -> bytes:
    """Return a packet with a digital source type, the URI of a term of the IPTC's vocabulary."""
    return _PACKET.format(source_type=source_type).encode()
