"""Processes of a run: devices, launching, communication between them, synchronised batch norm."""
