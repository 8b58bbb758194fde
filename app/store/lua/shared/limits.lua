-- Why a browser token creates nothing more: the tasks or the credits that it was given are used up.
local function why_spent(of_token, hold, price_known)
  local credits_left = tonumber(of_token.credits_left)
  if tonumber(of_token.tasks_left or 1) < 1 then return 'token_spent' end
  if credits_left and price_known == 0 then return 'price_unknown' end
  if credits_left and hold > credits_left then return 'token_spent' end
end
-- A scope is a tenant or a key: its limits, its set of slots, and the suffix of its figures.
local function why_barred(scopes, buckets, model, hold, price_known, now_ms)
  local spent = why_spent(scopes[2].limits, hold, price_known)
  if spent then return spent, 0 end
  for _, scope in ipairs(scopes) do
    local models = scope.limits.models
    if models and not string.find(models, ',' .. model .. ',', 1, true) then return 'model_not_allowed', 0 end
  end
  for _, bucket in ipairs(buckets) do
    if bucket.left < 1 then return 'rate_limited', grows_in_ms(bucket, now_ms) end
  end
end
local function is_full(scopes)
  for _, scope in ipairs(scopes) do
    local most = tonumber(scope.limits.tasks_in_flight)
    if most and redis.call('SCARD', scope.slots) >= most then return true end
  end
  return false
end
local function why_credits(scopes, day, month, hold, price_known)
  for _, scope in ipairs(scopes) do
    for window, limit in pairs({[day] = scope.limits.credits_per_day, [month] = scope.limits.credits_per_month}) do
      if price_known == 0 then return 'price_unknown' end
      local spent = redis.call('HMGET', window, 'held' .. scope.suffix, 'settled' .. scope.suffix)
      local total = tonumber(spent[1] or 0) + tonumber(spent[2] or 0) + hold
      if hold > 0 and total > tonumber(limit) then return 'credit_exhausted' end
    end
  end
end
-- Whether a task has to wait behind others or for a slot, and if so, why it may not.
local function waits(limits, full, waiting)
  local may = limits.when_full == 'queue' or (not full and limits.when_vendor_down == 'queue')
  if full and limits.when_full ~= 'queue' then return true, 'too_many_in_flight' end
  if not full and (waiting == 0 or not may) then return false end
  local most = tonumber(limits.max_queued)
  if most and waiting >= most then return true, 'queue_full' end
  return true
end
-- What is admitted counts at once, for a browser token for good.
local function use_up(buckets, key, of_key, hold)
  for _, bucket in ipairs(buckets) do take_from(bucket, 1) end
  if of_key.tasks_left then redis.call('HINCRBY', key, 'tasks_left', -1) end
  if of_key.credits_left then redis.call('HINCRBY', key, 'credits_left', -hold) end
end
