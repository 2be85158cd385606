-- list: a page in order of creation
SELECT * FROM config.prices WHERE organization_id = %(organization_id)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- get: one price
SELECT * FROM config.prices WHERE organization_id = %(organization_id)s AND id = %(id)s

-- same: a price of the model that begins at the same moment
SELECT id FROM config.prices
WHERE organization_id = %(organization_id)s AND provider = %(provider)s AND model = %(model)s
  AND effective_from_us = %(effective_from_us)s

-- insert: a new price
INSERT INTO config.prices (
    id, organization_id, provider, model, input, output, cache_read, cache_write, cache_write_1h, input_audio,
    cache_audio_read, input_image, output_audio, output_image, web_search, request, effective_from_us, created_at_us
) VALUES (
    %(id)s, %(organization_id)s, %(provider)s, %(model)s, %(input)s, %(output)s, %(cache_read)s, %(cache_write)s,
    %(cache_write_1h)s, %(input_audio)s, %(cache_audio_read)s, %(input_image)s, %(output_audio)s, %(output_image)s,
    %(web_search)s, %(request)s, %(effective_from_us)s, %(now_us)s
)

-- delete: one price
DELETE FROM config.prices WHERE organization_id = %(organization_id)s AND id = %(id)s
