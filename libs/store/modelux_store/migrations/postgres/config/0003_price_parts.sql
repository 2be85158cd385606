-- Prices of what few calls have; NULL: charged as the wider kind, fees as nothing. Nano-USD per million tokens, fees per
-- thousand.
ALTER TABLE config.prices
    ADD COLUMN cache_write_1h bigint CHECK (cache_write_1h >= 0),
    ADD COLUMN input_audio bigint CHECK (input_audio >= 0),
    ADD COLUMN cache_audio_read bigint CHECK (cache_audio_read >= 0),
    ADD COLUMN input_image bigint CHECK (input_image >= 0),
    ADD COLUMN output_audio bigint CHECK (output_audio >= 0),
    ADD COLUMN output_image bigint CHECK (output_image >= 0),
    ADD COLUMN web_search bigint CHECK (web_search >= 0),
    ADD COLUMN request bigint CHECK (request >= 0);
