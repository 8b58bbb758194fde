-- Give a webhook endpoint another secret; the one it had signs along until an instant.
-- USES caller asker webhook
-- KEYS epoch tenant key webhook audit
-- ARGV now_ms:int epoch_id by_operator:int mode secret until_ms entry
-- RETURNS {'rotated', {field, value, ...}} | {'unknown'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
redis.call('HSET', webhook, 'secret_before', redis.call('HGET', webhook, 'secret'), 'before_ms', until_ms)
redis.call('HSET', webhook, 'secret', secret)
note_act(audit, entry)
return {'rotated', endpoint_of(webhook, mode)}
