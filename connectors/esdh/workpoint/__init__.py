"""WorkPoint 365, a case system on SharePoint that tells of changes by webhook."""

from broker.intake.connector import Connector
from connectors.esdh.workpoint.translate import split, translate

CONNECTOR = Connector("workpoint", "esdh", ("application/json",), split, translate)
