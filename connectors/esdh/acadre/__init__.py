"""Acadre (Formpipe), a case system that is polled."""

from broker.intake.connector import Connector
from connectors.esdh.acadre.translate import split, translate

CONNECTOR = Connector("acadre", "esdh", ("application/json", "application/xml", "text/xml"), split, translate)
