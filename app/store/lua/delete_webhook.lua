-- Delete a webhook endpoint with all that was still to be sent to it.
-- USES caller asker webhook
-- KEYS epoch tenant key webhooks webhook deliveries delivering due log audit
-- ARGV now_ms:int epoch_id by_operator:int mode webhook_id member entry
-- RETURNS {'deleted'} | {'unknown'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
redis.call('HDEL', webhooks, webhook_id)
redis.call('DEL', webhook, due, log)
redis.call('ZREM', deliveries, member)
redis.call('ZREM', delivering, member)
note_act(audit, entry)
return {'deleted'}
