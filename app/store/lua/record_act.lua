-- Record an act that changed nothing, such as a look at a secret.
-- KEYS epoch audit
-- ARGV epoch_id entry
-- RETURNS 'recorded' | 'store_foreign'
if redis.call('GET', epoch) ~= epoch_id then return 'store_foreign' end
redis.call('XADD', audit, '*', 'entry', entry)
return 'recorded'
