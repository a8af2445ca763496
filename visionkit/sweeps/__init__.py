"""Many runs: grids, searches, their folders, tables and processes."""
