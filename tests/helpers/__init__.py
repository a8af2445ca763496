"""What tests of several rooms share: imported as ``from tests.helpers.NAME import ...``."""
