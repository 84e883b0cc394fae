-- Keys that were bound before they were taken had no time, and were forgotten at the next look: they are as young as now.
UPDATE claims SET at_s = CAST(strftime('%s', 'now') AS INTEGER) WHERE at_s = 0;
