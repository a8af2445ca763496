"""What is wrong with a data set's files: one catalogue of kinds, and what the readers found of each."""

from visionkit.data.findings.catalogue import CATALOGUE
from visionkit.data.findings.finding import MAX_LISTED, Finding, check_findings, lenient_findings
from visionkit.data.findings.kind import FindingKind, Severity

__all__ = ["CATALOGUE", "MAX_LISTED", "Finding", "FindingKind", "Severity", "check_findings", "lenient_findings"]
