"""The systems with a smaller share of the demo, each in its vendor's own words. Pure."""

from typing import Final

from ops.demo.lives import Vendor
from ops.demo.vendors import acadre, edoc, getorganized, nexus, nova, sensum, sf1470, workpoint

VENDORS: Final[tuple[Vendor, ...]] = (
    acadre.VENDOR,
    nova.VENDOR,
    edoc.VENDOR,
    getorganized.VENDOR,
    workpoint.VENDOR,
    nexus.VENDOR,
    sensum.VENDOR,
    sf1470.VENDOR,
)
