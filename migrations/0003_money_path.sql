-- Each check of a decision, and commissions that were not taken in the account's currency.

ALTER TABLE decisions ADD COLUMN checks TEXT;   -- JSON: each with name, passed, value, limit
ALTER TABLE fills ADD COLUMN commission TEXT;   -- JSON: {"base": {"amount": ..}} or {"other": {"asset": .., "amount": ..}}
