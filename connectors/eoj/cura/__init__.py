"""Systematic Cura: nothing of its own interface is public, so it speaks KL Gateway FHIR (care) and SF1470 (cases)."""

from connectors.eoj.cura.mapping import DEFAULTS
from connectors.standards.klgateway.vendor import speaking

CONNECTOR = speaking("cura", "Systematic Cura", DEFAULTS)
