-- Send an endpoint a message of which no task tells, so that its tenant can try it.
-- USES caller asker webhook
-- KEYS epoch tenant key webhook message deliveries due log audit
-- ARGV now_ms:int epoch_id by_operator:int mode member message_id event body kept_ms:int entry
-- RETURNS {'enqueued'} | {'unknown'} | {'off'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
if redis.call('HGET', webhook, 'state') ~= 'on' then return {'off'} end
redis.call('HSET', message, 'event', event, 'task', '', 'created_ms', now_ms, 'body', body, 'url', '')
redis.call('PEXPIREAT', message, now_ms + kept_ms)
redis.call('ZADD', log, now_ms, message_id)
redis.call('ZREMRANGEBYSCORE', log, '-inf', now_ms - kept_ms)
redis.call('PEXPIREAT', log, now_ms + kept_ms)
redis.call('ZADD', due, now_ms, message_id)
redis.call('ZADD', deliveries, 'LT', now_ms, member)
note_act(audit, entry)
return {'enqueued'}
