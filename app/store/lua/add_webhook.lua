-- Make a webhook endpoint, together with its line in the index that changing scripts read.
-- USES caller asker fields webhook
-- KEYS epoch tenant key webhooks webhook audit
-- ARGV now_ms:int epoch_id by_operator:int most:int fields entry
-- RETURNS {'added'} | {'full'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if redis.call('HLEN', webhooks) >= most then return {'full'} end
set_fields(webhook, fields)
index_endpoint(webhooks, webhook)
note_act(audit, entry)
return {'added'}
