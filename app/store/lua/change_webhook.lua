-- Change a webhook endpoint and its line in the index; on again, or elsewhere, it begins without failures.
-- USES caller asker fields webhook
-- KEYS epoch tenant key webhooks webhook due audit
-- ARGV now_ms:int epoch_id by_operator:int mode fields switch entry
-- RETURNS {'changed', {field, value, ...}} | {'unknown'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
local before = redis.call('HMGET', webhook, 'url', 'state')
set_fields(webhook, fields)
local turned_on = switch == 'on' and before[2] == 'off'
if turned_on then
  redis.call('HSET', webhook, 'state', 'on')
  redis.call('HDEL', webhook, 'off_reason', 'off_ms')
end
if turned_on or redis.call('HGET', webhook, 'url') ~= before[1] then
  redis.call('HDEL', webhook, 'failing_ms', 'failures')
end
if switch == 'off' and before[2] == 'on' then switch_off(webhooks, webhook, due, 'requested', now_ms)
else index_endpoint(webhooks, webhook) end
note_act(audit, entry)
return {'changed', endpoint_of(webhook, mode)}
