-- Take a queue off the schedule, if nobody waits in it.
-- KEYS queue dispatch
-- ARGV queue_member
-- RETURNS how many were taken off
if redis.call('EXISTS', queue) == 1 then return 0 end
return redis.call('ZREM', dispatch, queue_member)
