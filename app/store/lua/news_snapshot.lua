-- Say where the news stand, and which tasks someone has to look at who has missed some: the newest, and the newest open ones.
-- USES following
-- KEYS epoch news open all
-- ARGV now_ms:int epoch_id most:int
-- RETURNS {'found', place, task id, when it was created, ...} | {'refused', reason}
if redis.call('GET', epoch) ~= epoch_id then return {'refused', 'store_foreign'} end
local answer, seen = {'found', newest_place(news, now_ms)}, {}
for _, list in ipairs({open, all}) do
  local found = redis.call('ZREVRANGE', list, 0, most - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    if not seen[found[i]] then
      seen[found[i]] = true
      answer[#answer + 1] = found[i]
      answer[#answer + 1] = found[i + 1]
    end
  end
end
return answer
