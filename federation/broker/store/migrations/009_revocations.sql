-- Mandates that were taken back, by whoever signed them: a buyer's name is the configuration's, and may change. Of those
-- taken back before, the signer is not known; the hash names one mandate, so they count whoever is said to have signed.
CREATE TABLE revoked (
    mandate_h TEXT NOT NULL,
    issuer TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    PRIMARY KEY (mandate_h, issuer)
) STRICT, WITHOUT ROWID;
INSERT INTO revoked (mandate_h, issuer, at_s) SELECT mandate_h, '', MIN(at_s) FROM revocations GROUP BY mandate_h;
DROP TABLE revocations;
