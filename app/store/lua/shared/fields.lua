-- Fields come as name, value, ... each ended by a newline.
local function set_fields(record, lines)
  for field, value in string.gmatch(lines, '([^\n]+)\n([^\n]*)\n') do redis.call('HSET', record, field, value) end
end
