"""KL Gateway: care as FHIR R4 bundles, the shape in which EOJ systems already deliver nationally."""

from broker.intake.connector import Connector
from connectors.standards.klgateway.bundle import split
from connectors.standards.klgateway.translate import translate

CONNECTOR = Connector("klgateway", "standard", ("application/fhir+json", "application/json"), split, translate)
