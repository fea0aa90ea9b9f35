"""GetOrganized, a case system on SharePoint that is polled."""

from broker.intake.connector import Connector
from connectors.esdh.getorganized.translate import split, translate

CONNECTOR = Connector("getorganized", "esdh", ("application/json",), split, translate)
