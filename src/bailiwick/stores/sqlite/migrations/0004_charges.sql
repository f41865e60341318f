-- Each charge names its price, and keeps what a provider claimed beyond what can have been used.
ALTER TABLE postings ADD COLUMN price TEXT NOT NULL DEFAULT '';
ALTER TABLE postings ADD COLUMN claimed_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE postings ADD COLUMN claimed_output_tokens INTEGER NOT NULL DEFAULT 0;
