-- Give a webhook endpoint another secret; the one it had signs along until an instant.
-- USES caller asker webhook secrets
-- KEYS epoch tenant key webhook audit
-- ARGV now_ms:int epoch_id by_operator:int mode secret until_ms:int entry
-- RETURNS {'rotated', {field, value, ...}} | {'unknown'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
rotate_secret(webhook, {'secret', 'secret_before', 'before_ms', 'secrets_older'}, secret, now_ms, until_ms)
note_act(audit, entry)
return {'rotated', endpoint_of(webhook, mode)}
