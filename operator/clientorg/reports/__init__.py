"""Reports for people and spreadsheets: typed rows first, then what writes them (FEATURES S12). No I/O but streams."""
