"""The one writer of pool state: tables, block application, reorg undo, snapshots, provenance."""
