"""What is wrong with a data set's files: one catalogue of kinds, and what the readers found of each."""

from visionkit.data.findings.catalogue import CATALOGUE, FindingKind, Severity
from visionkit.data.findings.finding import MAX_LISTED, Finding, check_findings

__all__ = ["CATALOGUE", "MAX_LISTED", "Finding", "FindingKind", "Severity", "check_findings"]
