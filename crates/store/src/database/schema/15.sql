-- How long a verdict took, in microseconds: -1 where it is the time since the pair was shown (all verdicts so far), NULL where nobody measured it.
ALTER TABLE blind_verdicts ADD COLUMN took_us INTEGER DEFAULT -1;
