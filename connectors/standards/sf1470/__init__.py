"""SF1470 v6: the national case and document index's own service, for whoever delivers to it already."""

from broker.intake.connector import Connector
from connectors.standards.sf1470.requests import split
from connectors.standards.sf1470.service import SERVICE
from connectors.standards.sf1470.translate import translate

CONNECTOR = Connector("sf1470", "standard", ("text/xml", "application/xml"), split, translate, SERVICE)
