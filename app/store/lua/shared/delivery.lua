-- What became of a message with a receiver, as the log tells it; nothing where the message has expired. The last member,
-- which is left to whoever needs it, is for the attempts.
local function delivery_of(shard, target, due, id)
  local of_message = redis.call('HMGET', shard .. 'message:' .. id, 'event', 'task', 'created_ms')
  if not of_message[3] then return end
  local due_ms = redis.call('ZSCORE', due, id)
  local found = redis.call('HMGET', shard .. 'delivery:' .. target .. ':' .. id, 'state', 'tries', 'delivered_ms')
  -- Neither failed nor delivered, and not to come any more: it was skipped.
  return {id, found[1] or (due_ms and 'pending' or 'skipped'), found[2] or 0, found[3] or '', due_ms or '',
    of_message[1], of_message[2], of_message[3]}
end
local function with_attempts(shard, target, delivery)
  delivery[#delivery + 1] = redis.call('LRANGE', shard .. 'attempts:' .. target .. ':' .. delivery[1], 0, -1)
  return delivery
end
