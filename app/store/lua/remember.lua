-- Make the task as it stands the answer to its create, unless one was given already.
-- KEYS task idem
-- ARGV keyed:int answer
-- RETURNS the first answer, which is `answer` or, where that is empty, the task's body; nothing where the task is unknown, or was refused before anybody was answered
local shown = redis.call('HMGET', task, 'body', 'state', 'answered')
if not shown[1] or (shown[2] == 'rejected' and not shown[3]) then return false end
if answer ~= '' then shown[1] = answer end
redis.call('HSET', task, 'answered', 1)
if keyed == 1 and redis.call('HSETNX', idem, 'answer', shown[1]) == 0 then
  return redis.call('HGET', idem, 'answer')
end
return shown[1]
