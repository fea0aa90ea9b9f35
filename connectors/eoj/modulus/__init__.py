"""Modulus: nothing of its own interface is public, so it speaks KL Gateway FHIR (care) and SF1470 (cases)."""

from connectors.eoj.modulus.mapping import DEFAULTS
from connectors.standards.klgateway.vendor import speaking

CONNECTOR = speaking("modulus", "Modulus", DEFAULTS)
