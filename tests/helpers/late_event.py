"""What stands in for a CUDA event in tests of numbers that are read later."""


class LateEvent:
    """An event of a device that is some looks behind."""

    def __init__(self, looks):
        self.looks = looks

    def query(self):
        self.looks -= 1
        return self.looks <= 0

    def synchronize(self):
        self.looks = 0
