-- Say whether a caller may go on listening, and until when.
-- USES caller
-- KEYS epoch tenant key
-- ARGV now_ms:int epoch_id
-- RETURNS {'active', when the key ends in ms or ''} | {'refused', reason}
local reason = why_refused(epoch, epoch_id, tenant, key, now_ms)
if reason then return {'refused', reason} end
return {'active', redis.call('HGET', key, 'expires_ms') or ''}
