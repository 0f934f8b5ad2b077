"""Records in, results out: events and labels are decoded, merged, remembered and committed here."""
