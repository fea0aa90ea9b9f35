"""eDoc, a case system that is polled over SOAP."""

from broker.intake.connector import Connector
from connectors.esdh.edoc.translate import split, translate

CONNECTOR = Connector("edoc", "esdh", ("application/xml", "text/xml"), split, translate)
