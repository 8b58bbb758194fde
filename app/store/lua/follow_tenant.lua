-- Let a caller follow all of its tasks: the place of the last news, and whether nothing since a place is gone.
-- USES caller following
-- KEYS epoch tenant key news
-- ARGV now_ms:int epoch_id last
-- RETURNS {'found', place, 1 if what was told after `last` is there, when the key ends in ms or ''} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
local resumes = last ~= '' and has_all_since(news, last, now_ms)
return {'found', newest_place(news, now_ms), resumes and 1 or 0, redis.call('HGET', key, 'expires_ms') or ''}
