-- Return one message of a receiver's log and what became of it.
-- USES caller asker webhook delivery
-- KEYS epoch tenant key webhook due log
-- ARGV now_ms:int epoch_id by_operator:int mode target message_id
-- RETURNS {'found', {message, state, tries, delivered, due, event, task, created, {attempt, ...}}}
-- RETURNS {'unknown'} | {'expired'} | {'refused', reason}
local reason = why_not(epoch, epoch_id, tenant, key, now_ms, by_operator)
if reason then return {'refused', reason} end
if not endpoint_of(webhook, mode) then return {'unknown'} end
local shard = string.match(log, '^(.-:)log:')
local found = redis.call('ZSCORE', log, message_id) and delivery_of(shard, target, due, message_id)
if not found then return {'expired'} end
return {'found', with_attempts(shard, target, found)}
