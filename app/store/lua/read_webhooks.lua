-- Return the webhook endpoints of a tenant's mode, or the one of an id, for whoever asks.
-- USES caller asker webhook
-- KEYS epoch tenant key webhooks
-- ARGV now_ms:int epoch_id by_operator:int mode prefix webhook_id
-- RETURNS {'found', {field, value, ...}, ...} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
local answer = {'found'}
for _, id in ipairs(webhook_id ~= '' and {webhook_id} or redis.call('HKEYS', webhooks)) do
  answer[#answer + 1] = endpoint_of(prefix .. id, mode)
end
return answer
