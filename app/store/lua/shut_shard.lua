-- Give a shard another epoch if a mark that was seen of it is gone.
-- USES identity
-- KEYS epoch marks
-- ARGV epoch_id next_id marks_kept:int seen_number:int seen_mark
-- RETURNS 1 if it was given one, else 0
if is_foreign(epoch, epoch_id) or not is_set_back(marks, marks_kept, seen_number, seen_mark) then return 0 end
redis.call('SET', epoch, next_id)
return 1
